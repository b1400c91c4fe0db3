"""What lasts: the database, the blobs, the ledger, the lineage, the log, the jobs.

One small module a lasting thing. Functions that write take the connection of an
open write transaction (`with database.write() as connection`), so that a change,
its ledger entry and its lineage stand or fall together.
"""
