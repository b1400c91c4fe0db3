"""Modules that are copied into a packaged model, and run there without cd4ml.

They import Python's own library, what the scorer needs, and one another; `sources` gives
them the names that they have there.
"""
