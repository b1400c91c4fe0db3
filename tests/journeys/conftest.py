"""A project with one version on its way to production."""

from tests.starter import folder

__all__ = ["folder"]
