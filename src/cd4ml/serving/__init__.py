"""Answering requests: one process an environment, its contract kept, every answer on record.

The process needs neither the database nor the blob store to go on answering: it keeps the
newest plan it saw, and the models of that plan, on its own disk.
"""
