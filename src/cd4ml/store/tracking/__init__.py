"""What runs log: experiments, runs, metrics with their history, files, data.

`experiments` and `runs` make, change, delete and restore; `logged` writes down a batch of
what a run logs, `history` and `search` read it; all take a connection, so that what belongs
together is one transaction. `recorder` and `journal` are what a process logs with, without a
database; `collection` brings that into one.
"""
