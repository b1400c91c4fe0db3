"""How a model is made, reproducibly.

Read in this order: `step` (what people write), `module` (how their code is imported),
`graph` (what needs what), `code` and `fingerprint` (when a step has to be computed
again), `storage` (how an output is kept), `run` (the execution).
"""
