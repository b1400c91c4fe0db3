"""Which attempt is better.

`tracking` lists runs with their metrics, `compare` shows what differs between some of
them, `search` tries many values of parameters at once.
"""
