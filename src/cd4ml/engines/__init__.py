"""Clusters, clouds and other people's services: one file or folder a technology.

The only place that imports them. Nothing here is needed by a project that does not ask for it.
"""
