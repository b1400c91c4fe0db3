"""The story that `rehearse` plays: the stage, the acts, and the world outside.

before_production -> production (a month at a time) -> summary
"""
