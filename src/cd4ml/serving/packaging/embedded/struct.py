"""Stands for msgspec where records are only read: what some of cd4ml's modules know by that name."""

from __future__ import annotations

from typing import Any


class Struct:
    """A record whose fields are given by name; those that are not have their defaults."""

    def __init_subclass__(cls, **options: object) -> None:
        """Take what msgspec is told of a record: nothing of it matters here."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
