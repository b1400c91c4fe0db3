"""What runs log: experiments, runs, metrics with their history, files, data.

`experiments` and `runs` make, change, delete and restore; `logged` writes down a batch of
what a run logs; `history` reads what a metric was at each step. All take a connection, so
that what belongs together is one transaction.
"""
