"""Steps computed on a Ray cluster; needs `cd4ml[ray]`.

`executor` is what a run works with, `tables` are what its steps hold ready for one another,
`connection` finds or starts a cluster.
"""
