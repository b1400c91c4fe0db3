"""What a policy lets be otherwise, by name and with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding
from cd4ml.store.masking import listed


def require_reasons(allow: Mapping[str, str], path: str) -> None:
    """Refuse an exception that nobody gives a reason for.

    Args:
        allow: Name -> reason.
        path: Where it stands: "gate[0].allow".

    Raises:
        ConfigurationError: Naming the exception.
    """
    for name, reason in allow.items():
        if not reason.strip():
            msg = f"{name!r} is allowed without a reason"
            raise refused(msg, path, hint=f'"{name}" = "why this may be so"')


def require_share(value: float | None, path: str) -> None:
    """Refuse a limit on a share of rows that is no share.

    Raises:
        ConfigurationError: If it lies outside 0 to 1, or is NaN.
    """
    if value is not None and not 0 <= value <= 1:
        raise refused(f"a share of rows lies between 0 and 1, got {value:g}", path)


def left_out(masked: Sequence[str]) -> str:
    """Which fields of requests on record a gate does not look at.

    Examples:
        >>> left_out(["customer"]), left_out(["hour", "holiday"])
        ('1 field is masked by [capture]: customer', '2 fields are masked by [capture]: hour, holiday')
    """
    n = len(masked)
    fields = "1 field is" if n == 1 else f"{n} fields are"
    return f"{fields} masked by [capture]: {listed(masked)}"


def unless_allowed(finding: Finding, allow: Mapping[str, str], *names: str) -> Finding:
    """The finding; if it did not pass and one of these names is allowed, it decides nothing.

    What could not be measured stays as it is: nobody has seen what would be allowed.

    Examples:
        >>> bad = Finding(gate="alone", metric="alone", outcome="fail", reason="AUC 1")
        >>> unless_allowed(bad, {"dest": "it is the route"}, "dest").reason
        'AUC 1; allowed: it is the route'
    """
    reason = next((allow[name] for name in names if name in allow), "")
    if not reason or finding.outcome in ("pass", "error"):
        return finding
    told = f"{finding.reason}; allowed: {reason}" if finding.reason else f"allowed: {reason}"
    # who reads a list of what is shown sees metric and slice
    return msgspec.structs.replace(finding, is_gated=False, slice=names[0], reason=told)
