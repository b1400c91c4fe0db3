"""Which version of a plan answers which key."""

from __future__ import annotations

from hashlib import blake2b

from cd4ml.records.plan import Arm, Plan


def position(release: int, key: str) -> float:
    """Where a key lies between 0 (included) and 100 (excluded), the same for ever.

    Keys are spread evenly, and anew for each release, so that no customer is always the
    first to try.

    Examples:
        >>> round(position(4, "customer-17"), 3), round(position(5, "customer-17"), 3)
        (28.249, 54.02)
    """
    digest = blake2b(f"{release}:{key}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48) * 100


def assign(plan: Plan, key: str) -> Arm:
    """The champion or the canary: who answers this key.

    The canary takes the keys whose position is below its weight. Raising the weight
    therefore adds keys and takes none away.

    Args:
        plan: With one champion and at most one canary.
        key: What the caller's requests have in common, for instance a customer, or the
            prediction id if nothing.
    """
    canary = canary_of(plan)
    if canary is not None and position(plan.release, key) < canary.weight_percent:
        return canary
    return champion_of(plan)


def champion_of(plan: Plan) -> Arm:
    """The version in charge under a plan."""
    return next(arm for arm in plan.arms if arm.role == "champion")


def canary_of(plan: Plan) -> Arm | None:
    """The version that answers a share of the keys, if there is one."""
    return next((arm for arm in plan.arms if arm.role == "canary"), None)


def shadows(plan: Plan) -> tuple[Arm, ...]:
    """The versions whose answers are logged and used by nobody."""
    return tuple(arm for arm in plan.arms if arm.role == "shadow")
