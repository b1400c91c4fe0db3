"""The policy: the gates of `cd4ml.toml`, refused when they are read rather than when they judge."""

from __future__ import annotations

import msgspec

from cd4ml.gates.baseline import is_version
from cd4ml.gates.kinds import KINDS
from cd4ml.records.gate import Gate, kind_of
from cd4ml.store.address import address_of_record


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gates that can be asked, in the order of `cd4ml.toml`, of rows told apart by a key."""

    gates: tuple[Gate, ...]
    key: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Its content address: verdicts and approvals name it."""
        return address_of_record(self)

    @property
    def baselines(self) -> tuple[str, ...]:
        """What candidates are compared with, as the gates name it."""
        named: list[str] = []
        for gate in self.gates:
            named += [*getattr(gate, "no_worse_than", {}), getattr(gate, "better_than", None) or ""]
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions, beside the champion, that candidates are compared with."""
        return tuple(filter(is_version, self.baselines))

    def of_kind(self, kind: str) -> tuple[Gate, ...]:
        """Its gates of one kind, in order."""
        return tuple(gate for gate in self.gates if kind_of(gate) == kind)


def policy_of(settings: tuple[Gate, ...], key: tuple[str, ...] = ()) -> Policy:
    """The policy that `[[gate]]` tables make.

    Args:
        settings: The tables, in order; without any there is nothing to pass, and nothing passes.
        key: What must not be among the rows that taught and those that judge.

    Raises:
        ConfigurationError: If a gate names no measure there is, sets no limit, or sets one that
            its measure cannot have; the message says which.

    Examples:
        >>> from cd4ml.records.metric_gate import MetricGate
        >>> policy_of((MetricGate(metric="auc", at_least=0.58),)).versions
        ()
    """
    for index, gate in enumerate(settings):
        KINDS[kind_of(gate)].require_possible(gate, f"gate[{index}]")
    return Policy(settings, key)
