"""Environments: their order, and which settings make sense."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from cd4ml.errors import ConfigurationError, NotFound
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import freeze
from cd4ml.release.agreement import approving_roles, needed

_CENTURY_HOURS = 100 * 366 * 24

Environments = Mapping[str, EnvironmentSettings]  # in the order of cd4ml.toml


def settings_of(environments: Environments, name: str) -> EnvironmentSettings:
    """The settings of an environment.

    Raises:
        NotFound: If `cd4ml.toml` does not name it; the hint lists those it names.
    """
    if name not in environments:
        known = ", ".join(environments) or "none: add [environments.production] to cd4ml.toml"
        raise NotFound(f"no environment named {name!r} in cd4ml.toml", hint=f"known: {known}")
    return environments[name]


def before(environments: Environments, name: str) -> tuple[str, ...]:
    """The environments a version has to be in before it may go to this one.

    Examples:
        >>> both = {"staging": EnvironmentSettings(), "production": EnvironmentSettings()}
        >>> before(both, "production")
        ('staging',)
    """
    names = tuple(environments)
    return names[: names.index(name)]


def is_last(environments: Environments, name: str) -> bool:
    """Whether this is where a version arrives: its version in charge is the model's champion."""
    return name == tuple(environments)[-1]


def require_possible(environments: Environments) -> None:
    """Refuse settings under which a rollout could not end or nobody could agree.

    Raises:
        ConfigurationError: Naming the key, what was expected and what came.
    """
    for name, settings in environments.items():
        path = f"environments.{name}"
        _require_agreement(settings, path)
        _require_expiry(settings, path)
        for index, window in enumerate(settings.freeze):
            freeze.require_possible(window, f"{path}.freeze[{index}]")
        _require_rollout(settings.rollout, path)
        _require_emergency(settings, path)


def _require_agreement(settings: EnvironmentSettings, path: str) -> None:
    counts = settings.approvals if isinstance(settings.approvals, dict) else {"": needed(settings)}
    for role, n in counts.items():
        key = f"{path}.approvals.{role}" if role else f"{path}.approvals"
        if n < 0 or (role and n == 0):
            _refuse(f"expected {1 if role else 0} or more approvals, got {n}", key)
    if isinstance(settings.approvals, dict) and settings.roles:
        hint = "leave out roles, or say how many approvals as one number"
        _refuse("approvals name their roles already", f"{path}.roles", hint=hint)
    if needed(settings) and not approving_roles(settings):
        one = needed(settings) == 1
        count = "1 approval is" if one else f"{needed(settings)} approvals are"
        msg = f"{count} needed and no role may give {'it' if one else 'them'}"
        _refuse(msg, f"{path}.roles", hint='for example roles = ["release-manager"]')
    if not (isfinite(settings.worse_by) and settings.worse_by >= 0):
        _refuse(f"expected 0 or more, got {settings.worse_by}", f"{path}.worse_by")


def _require_expiry(settings: EnvironmentSettings, path: str) -> None:
    for key in ("approval_expires_hours", "request_expires_hours"):
        hours = getattr(settings, key)
        if hours is not None and not (0 < hours <= _CENTURY_HOURS):
            msg = f"expected more than 0 and at most {_CENTURY_HOURS:,} hours, got {hours:g}"
            _refuse(msg, f"{path}.{key}", hint="leave it out if it never expires")


def _require_emergency(settings: EnvironmentSettings, path: str) -> None:
    if settings.emergency is None:
        return
    if not settings.emergency.roles:
        msg = "an emergency needs a role that may say there is one"
        hint = 'for example roles = ["incident-lead"]'
        _refuse(msg, f"{path}.emergency.roles", hint=hint)
    _require_rollout(settings.emergency.rollout, f"{path}.emergency")


def _require_rollout(steps: tuple[RolloutStep, ...], path: str) -> None:
    if not steps or steps[-1].mode != "full":
        msg = "a rollout ends with a full step"
        _refuse(msg, f"{path}.rollout", hint='end it with { mode = "full" }')
    for index, step in enumerate(steps):
        where = f"{path}.rollout[{index}]"
        if step.predictions < 0 or step.labels < 0:
            _refuse("expected 0 or more predictions and labels", where)
        if step.mode == "full" and index < len(steps) - 1:
            _refuse("only the last step of a rollout is full", where)
        if step.mode != "full" and not (step.predictions or step.labels):
            msg = f"a {step.mode} step ends after predictions or labels, got neither"
            _refuse(msg, where, hint="for example predictions = 1000")
        _require_weight(step, where)


def _require_weight(step: RolloutStep, where: str) -> None:
    if step.mode == "canary" and not 0 < step.weight_percent < 100:
        msg = f"a canary answers more than 0 and less than 100 percent, got {step.weight_percent:g}"
        _refuse(msg, f"{where}.weight_percent")
    if step.mode != "canary" and step.weight_percent:
        _refuse(f"only a canary has a weight, got {step.weight_percent:g}", where)


def _refuse(msg: str, path: str, *, hint: str = "") -> None:
    raise ConfigurationError(f"cd4ml.toml: {msg} - at `{path}`", hint=hint)
