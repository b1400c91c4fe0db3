"""The numbers: pure functions, arrays in, estimates with intervals out.

Gates, monitoring and rollouts call the same functions, so a figure means the same everywhere.
"""
