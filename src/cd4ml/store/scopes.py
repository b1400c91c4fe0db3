"""Scopes: what may be done with a token, and with which thing."""

from __future__ import annotations

from cd4ml.errors import InvalidInput

ALL = "all"

SCOPES = {
    "read": "look at everything that is not restricted",
    "data": "register, tag, verify and collect versions of datasets",
    "predict": "ask an endpoint that asks who asks (predict:NAME: of this environment)",
    "push": "push rows into a dataset (push:NAME: into this one)",
    "track": "log runs, also as a client of MLflow",
    "gate": "have candidates judged",
    "model": "register, describe, alias and delete versions",
    "release": "request releases, ask again, withdraw (release:NAME: in this environment)",
    "approve": "decide on releases, review emergencies (approve:NAME: in this environment)",
    "operate": "abort and undo (operate:NAME: in this environment)",
    "label": "say what really happened, ask for a retraining",
    "admin": "add people, hand out tokens that decide nothing, revoke any, make checkpoints of the ledger",
    ALL: "whatever its owner may",
}

# What an admin may hand to others: nothing with which one could agree to one's own request.
_HANDED = frozenset({"read", "data", "predict", "push", "track", "gate", "model"})

OF_ENVIRONMENTS = frozenset({"predict", "release", "approve", "operate"})

_LIMITED = (
    "predict",
    "push",
    "release",
    "approve",
    "operate",
)  # to one dataset, or one environment


def require_scopes(scopes: tuple[str, ...]) -> None:
    """Refuse scopes that nothing asks for.

    Raises:
        InvalidInput: Naming the first that is none, or saying that there is none at all.

    Examples:
        >>> require_scopes(("push:flights", "read"))
        >>> require_scopes(("fly",))
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: there is no scope 'fly'
          hint: known: read, data, predict, push, track, gate, model, release, approve, operate, label, admin, all
    """
    if not scopes:
        raise InvalidInput("a token allows something", hint=f"one or more of {', '.join(SCOPES)}")
    for scope in scopes:
        kind, colon, thing = scope.partition(":")
        if kind not in SCOPES:
            raise InvalidInput(f"there is no scope {scope!r}", hint=f"known: {', '.join(SCOPES)}")
        if colon and (kind not in _LIMITED or not thing):
            msg = f"{kind!r} cannot be limited to {thing!r}"
            raise InvalidInput(msg, hint=f"these can, to a name: {', '.join(_LIMITED)}")


def deciding(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Those with which somebody answers for something: only their owner makes such a token.

    Examples:
        >>> deciding(("read", "approve:production", "all"))
        ('approve:production', 'all')
    """
    return tuple(each for each in scopes if each.partition(":")[0] not in _HANDED)


def wider(wanted: tuple[str, ...], used: tuple[str, ...]) -> tuple[str, ...]:
    """Those wanted scopes that the used ones do not reach.

    Examples:
        >>> wider(("read", "approve:production", "all"), ("admin", "read", "approve"))
        ('all',)
    """
    return tuple(each for each in wanted if not allows(used, *each.split(":", 1)))


def allows(scopes: tuple[str, ...], act: str, on: str = "") -> bool:
    """Whether scopes allow an act, on a thing where it is limited to one.

    Examples:
        >>> allows(("push:flights",), "push", "flights"), allows(("push",), "push", "flights")
        (True, True)
        >>> allows(("push:flights",), "push", "fares"), allows(("push:flights",), "push")
        (False, False)
        >>> allows(("all",), "approve", "production")
        True
    """
    return bool({ALL, act, f"{act}:{on}" if on else act} & set(scopes))
