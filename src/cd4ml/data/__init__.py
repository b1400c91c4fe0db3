"""Which data, which version, who owns it, is it fit.

`formats` reads files, `contract` checks their rows, `versions` freezes them under a
number, `catalog` finds them again.
"""
