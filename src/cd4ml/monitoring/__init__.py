"""Does it still work: production measured window by window.

Read in this order: `windows` (which stretches of time are due), `answers` (what was answered
and has come true in one), `reference` (what the version in charge was like at its release),
`drift` and `performance` (the findings), `measured` (all of them as one window), `alerts`
(what somebody should act on). `rollout` measures a new version against the champion.
"""
