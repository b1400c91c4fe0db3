"""What the ledger can say was done: every action there is, by what it is done to."""

from __future__ import annotations

_DONE = {
    "alert": ("raised",),
    "alias": ("moved", "removed"),
    "approval": ("expired", "given", "refused"),
    "audit_key": ("made",),
    "changes": ("requested",),
    "dataset": ("described", "read", "registered", "removed", "tagged", "untagged", "versioned"),
    "experiment": ("changed", "created", "deleted", "restored"),
    "history": ("brought",),
    "labels": ("accepted",),
    "ledger": ("signed",),
    "log": ("expired", "forgotten"),
    "logged_model": ("deleted", "failed", "ready"),
    "model": (
        "deleted",
        "described",
        "logged",
        "registered",
        "restored",
        "scored files",
        "tagged",
        "taken away",
        "untagged",
    ),
    "model_version": (
        "added",
        "deleted",
        "described",
        "packaged",
        "restored",
        "tagged",
        "untagged",
    ),
    "person": ("added", "changed", "removed"),
    "pickle": ("distrusted", "trusted"),
    "pull": ("failed", "finished"),
    "record": ("found_changed",),
    "release": (
        "aborted",
        "advanced",
        "asked_again",
        "begun",
        "expired",
        "rejected",
        "released",
        "requested",
        "restored",
        "reviewed",
        "sent_back",
        "superseded",
        "undone",
        "withdrawn",
    ),
    "retraining": ("failed", "finished", "triggered"),
    "run": (
        "changed",
        "deleted",
        "failed",
        "finished",
        "killed",
        "reproduced",
        "restored",
        "resumed",
        "running",
    ),
    "search": ("finished", "started"),
    "standing_approval": ("given", "revoked"),
    "token": ("created", "expired", "revoked"),
    "trial": ("laid_out",),
    "verdict": ("given",),
    "webhook": ("given_up", "resent"),
    "window": ("measured",),
}

ACTIONS = tuple(f"{thing}.{done}" for thing, every in _DONE.items() for done in every)

OWN = "webhook."  # actions about webhooks are told to none: they would tell of themselves

TOLD = tuple(action for action in ACTIONS if not action.startswith(OWN))
