"""How a model is made, reproducibly.

Read in this order: `step` (what people write), `graph` (what needs what), `run` and
`execution` (what happens), `storage` (how an output is kept). When a step has to be
computed again: `fingerprint`, which `walk`s through the project's `code`, found by
`sources`. `module` imports the project, `declared` avoids it, `revision` and
`environment` say what it ran in, `alive` finds runs that were killed.
"""
