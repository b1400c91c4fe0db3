"""A project that has something to show."""

from tests.starter import folder, project

__all__ = ["folder", "project"]
