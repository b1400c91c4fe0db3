"""The policy: the gates of `cd4ml.toml`, refused when they are read rather than when they judge."""

from __future__ import annotations

import re
from math import isfinite

import msgspec

from cd4ml.errors import ConfigurationError
from cd4ml.measures.named import NAMED, Named
from cd4ml.records.settings import GateSettings
from cd4ml.store.address import address_of_record

CHAMPION = "champion"

_VERSION = re.compile(r"[^/\s]+/[1-9][0-9]*")


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gates that can be asked, in the order of `cd4ml.toml`, of rows told apart by a key."""

    gates: tuple[GateSettings, ...]
    key: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Its content address: verdicts and approvals name it."""
        return address_of_record(self)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions, beside the champion, that candidates are compared with."""
        named = (name for gate in self.gates for name in gate.no_worse_than)
        return tuple(dict.fromkeys(name for name in named if name != CHAMPION))


def policy_of(settings: tuple[GateSettings, ...], key: tuple[str, ...] = ()) -> Policy:
    """The policy that `[[gate]]` tables make.

    Args:
        settings: The tables, in order; without any there is nothing to pass, and nothing passes.
        key: What must not be among the rows that taught and those that judge.

    Raises:
        ConfigurationError: If a gate names no measure there is, sets no limit, or sets one that
            its measure cannot have; the message says which.

    Examples:
        >>> policy_of((GateSettings(metric="auc", at_least=0.58),)).gates[0].at_least
        0.58
    """
    for index, gate in enumerate(settings):
        _require_possible(gate, f"gate[{index}]")
    return Policy(settings, key)


def _require_possible(gate: GateSettings, path: str) -> None:
    measure = NAMED.get(gate.metric)
    if measure is None:
        msg = f"there is no measure named {gate.metric!r}"
        raise _refused(msg, f"{path}.metric", hint=f"known: {', '.join(sorted(NAMED))}")
    has_value_limit = gate.at_least is not None or gate.at_most is not None
    if not (has_value_limit or gate.better_than or gate.no_worse_than):
        hint = "at_least, at_most, better_than or no_worse_than"
        raise _refused(f"a gate on {gate.metric} needs a limit", path, hint=hint)
    _require_floor_or_ceiling(gate, measure, path)
    for name, margin in gate.no_worse_than.items():
        _require_comparison(measure, name, margin, f"{path}.no_worse_than")


def _require_floor_or_ceiling(gate: GateSettings, measure: Named, path: str) -> None:
    if gate.at_least is not None and measure.direction == "lower":
        msg = (
            f"{gate.metric} is better the lower it is, so it cannot be asked to be at least a value"
        )
        raise _refused(msg, f"{path}.at_least", hint=f"at_most = {gate.at_least:g}")
    if gate.at_most is not None and measure.direction == "higher":
        msg = (
            f"{gate.metric} is better the higher it is, so it cannot be asked to be at most a value"
        )
        raise _refused(msg, f"{path}.at_most", hint=f"at_least = {gate.at_most:g}")
    for key in ("at_least", "at_most"):
        limit = getattr(gate, key)
        if limit is not None and not isfinite(limit):
            raise _refused(f"a limit is a finite number, got {limit}", f"{path}.{key}")
    _require_reachable(gate, measure, path)


def _require_reachable(gate: GateSettings, measure: Named, path: str) -> None:
    if gate.at_least is not None and gate.at_least > measure.best:
        msg = f"{measure.name} is never above {measure.best:g}, got {gate.at_least:g}"
        raise _refused(msg, f"{path}.at_least", hint="no model could pass")
    if gate.at_most is not None and gate.at_most < measure.best:
        msg = f"{measure.name} is never below {measure.best:g}, got {gate.at_most:g}"
        raise _refused(msg, f"{path}.at_most", hint="no model could pass")


def _require_comparison(measure: Named, name: str, margin: float, path: str) -> None:
    if name != CHAMPION and not _VERSION.fullmatch(name):
        msg = f"{name!r} is neither the champion nor a version"
        hint = "{ champion = 0.005 } or { 'delay/3' = 0.005 }"
        raise _refused(msg, path, hint=hint)
    if not (isfinite(margin) and margin > 0):
        msg = f"the margin by which it may be worse is above 0, got {margin:g}"
        raise _refused(msg, f"{path}.{name}", hint="for example 0.005; with 0 chance decides")
    if not measure.is_paired:
        raise _refused(f"{measure.name} cannot be compared on the same rows", path)


def _refused(msg: str, path: str, *, hint: str = "") -> ConfigurationError:
    return ConfigurationError(f"cd4ml.toml: {msg} - at `{path}`", hint=hint)
