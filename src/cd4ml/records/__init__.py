"""The nouns: frozen records, one file each.

One definition serves the database row, the JSON and the page. A record is what
was true when it was written; a change is a new record or, where a row has a
state (a release, a job), a replaced one whose change stands in the ledger.
Content addresses are strings `blake3:<64 hex digits>`; times are aware UTC.
"""
