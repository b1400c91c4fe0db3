"""Where the work of a run is done: here, in processes beside this one, or on a cluster.

`port` says what an executor is. `inline` does the work itself; `pool` has processes do it,
each a `supervised` one that runs `worker`. The one for Ray is an engine. `machine` looks
what there is to work with.
"""
