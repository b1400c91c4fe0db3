"""What really happened, and what to learn next.

`labels` accepts what the world says about predictions, `curation` makes training rows of
predictions that have come true, `triggers` asks for a retraining.
"""
