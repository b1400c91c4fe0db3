"""Registered models and their versions: count them, describe them, hide them and bring them back.

Registering says what a version is; whether it may answer anybody is for the gates and the
release to say. Every function takes the connection of a write transaction where it changes
something, and writes into the ledger in that transaction.
"""

from cd4ml.models.registry.numbered import (
    add_version,
    find_version,
    newest,
    set_packaged,
    verdict_about,
    version,
    version_in,
    versions,
)
from cd4ml.models.registry.registered import ensure, model, models, register
from cd4ml.models.registry.removal import (
    delete_model,
    delete_version,
    restore_model,
    restore_version,
)
from cd4ml.models.registry.words import describe, remove_tag, require_tags, set_tags

__all__ = [
    "add_version",
    "delete_model",
    "delete_version",
    "describe",
    "ensure",
    "find_version",
    "model",
    "models",
    "newest",
    "register",
    "remove_tag",
    "require_tags",
    "restore_model",
    "restore_version",
    "set_packaged",
    "set_tags",
    "verdict_about",
    "version",
    "version_in",
    "versions",
]
