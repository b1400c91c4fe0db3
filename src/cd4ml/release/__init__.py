"""Who agreed, and what runs where.

Read `states` first: it decides, without a store, what happens next to a release. `requests` begins
one, `approvals` and `standing` say who agreed, `reconcile` carries the decision out, `reversals`
goes back. A release lives for days and across processes: its row holds all there is to know.
"""
