"""Is it good enough, and better than what there is.

Read `policy` (what is asked), then `judge` (how it is answered), then `verdicts` (what becomes of the
answers). `evidence` is what a judge needs to see: rows, scores, and the scores of others.
"""
