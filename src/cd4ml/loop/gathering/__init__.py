"""Gathering what a judge needs to see, before it judges.

Read `evidence` (the rows and scores that every kind of gate may use), then `kinds` (which kinds need more).
"""
