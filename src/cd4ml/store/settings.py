"""Reads `cd4ml.toml`, and refuses what no project can mean.

Types and unknown keys are msgspec's to find. What remains is said here for `[project]`,
`[run]`, `[prices]`, `[data]`, `[model]`, `[monitoring]`, `[retrain]` and `[webhooks]`; the rooms that use them say it for
gates (`gates.policy`) and rollouts (`release.environments`).
"""

from __future__ import annotations

import difflib
import keyword
import re
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.errors import ConfigurationError
from cd4ml.records import settings as records
from cd4ml.records.dataset import NAME_RULE, is_dataset_name
from cd4ml.records.gate import DEFAULT_KIND, KIND, KINDS_OF_GATE, kind_of
from cd4ml.records.settings import Settings
from cd4ml.store import capture_settings, replica_settings, serving_settings
from cd4ml.store.choices import named_choices
from cd4ml.store.webhook_settings import wrong_in

_MANUAL = "docs/reference/settings.md of the manual lists every key"
_UNKNOWN_KIND = re.compile(r"[Ii]nvalid value .+ - at `\$\.gate\[\.*\d*\]\.kind`")
_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST = 100  # characters of a name
_CENTURY_HOURS = 100 * 366 * 24


class _Impossible(Exception):
    """What a value cannot be, and the key of it."""

    def __init__(self, key: str, message: str, hint: str = _MANUAL) -> None:
        self.key = key
        self.message = message
        self.hint = hint
        super().__init__(message)


def read_settings(path: Path) -> Settings:
    """The settings in a `cd4ml.toml`.

    Raises:
        ConfigurationError: With file, place and remedy.
    """
    return settings_from(_text(path), path)


def settings_from(text: str, path: Path) -> Settings:
    """The settings that a text states, as if it stood in the file of this path.

    Raises:
        ConfigurationError: With file, place and remedy.
    """
    text = text.removeprefix("\ufeff")
    try:
        settings = msgspec.convert(_with_kinds(msgspec.toml.decode(text)), Settings)
        _refuse_impossible(settings)
    except msgspec.DecodeError as error:
        msg = f"{path}: {_named(_reworded(error), text)}"
        raise ConfigurationError(msg, hint=_remedy(error)) from None
    except _Impossible as error:
        msg = f"{path}: {error.message} - at `{error.key}`"
        raise ConfigurationError(msg, hint=error.hint) from None
    return settings


def _with_kinds(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables of a file, with the kind of each gate that does not say one."""
    gates = tables.get("gate")
    for gate in gates if isinstance(gates, list) else ():
        if isinstance(gate, dict):
            gate.setdefault(KIND, DEFAULT_KIND)
    return tables


def _text(path: Path) -> str:
    try:
        data = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
        return data.decode()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigurationError(msg, hint="may this user read it?") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = (
            f"{path}: expected UTF-8 text, got the byte 0x{data[error.start]:02x} (at line {line})"
        )
        raise ConfigurationError(msg, hint="save the file as UTF-8") from None


def _reworded(error: msgspec.DecodeError) -> str:
    # msgspec says "$.gate[0].at_least"; people look for "gate[0].at_least"
    text = named_choices(str(error), Settings).replace("`int | object`", "`int` or a table")
    return text[:1].lower() + text[1:].replace("`$.", "`")


def _named(message: str, text: str) -> str:
    """The message, with the name of the dataset or environment that msgspec leaves open."""
    kinds = {
        "data": records.DataSettings,
        "environments": records.EnvironmentSettings,
        "search": records.SearchSettings,
        "webhooks": records.WebhookSettings,
    }
    for table, kind in kinds.items():
        if f"`{table}[...]" not in message:
            continue
        for name, value in msgspec.toml.decode(text)[table].items():
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError:
                return message.replace(f"`{table}[...]", f"`{table}.{name}", 1)
    return message


def _remedy(error: msgspec.DecodeError) -> str:
    unknown = _UNKNOWN.search(str(error))
    if _UNKNOWN_KIND.search(str(error)):
        kinds_known = sorted(kind_of(kind) for kind in KINDS_OF_GATE)
        return f"the kinds of gate are {', '.join(kinds_known)}"
    kinds = [*filter(_is_table, vars(records).values()), *KINDS_OF_GATE]
    names = {field.name for kind in kinds for field in msgspec.structs.fields(kind)}
    near = difflib.get_close_matches(unknown[1], names, n=1) if unknown else []
    return f"did you mean `{near[0]}`? {_MANUAL}" if near else _MANUAL


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _refuse_impossible(settings: Settings) -> None:
    _refuse_project(settings)
    _refuse_run(settings)
    _refuse_data(settings)
    _refuse_model(settings.model)
    _refuse_environments(settings)
    _refuse_monitoring(settings)
    _refuse_retrain(settings)
    _refuse_webhooks(settings)
    for wrong in capture_settings.wrong_in(settings.capture):
        raise _Impossible(*wrong)
    for wrong in serving_settings.wrong_in(settings.serving):
        raise _Impossible(*wrong)
    for wrong in replica_settings.wrong_in(settings.replicas):
        raise _Impossible(*wrong)
    minutes = settings.audit.every_minutes
    if not (isfinite(minutes) and 0 < minutes <= _CENTURY_HOURS * 60):
        raise _Impossible("audit.every_minutes", f"expected more than 0 minutes, got {minutes:g}")


def _refuse_project(settings: Settings) -> None:
    name = settings.project.name
    if not (name.isprintable() and name == name.strip() and 0 < len(name) <= _LONGEST):
        message = f"expected a name of 1 to {_LONGEST} printable characters, got {name!r}"
        raise _Impossible("project.name", message)
    _refuse_unless_module(settings.project.pipeline, "project.pipeline")
    _refuse_unless_module(settings.rehearsal.world, "rehearsal.world")


def _refuse_run(settings: Settings) -> None:
    run = settings.run
    if run.workers < 0:
        raise _Impossible("run.workers", f"expected 0 or more, got {run.workers}")
    if run.ray and run.executor != "ray":
        message = f"steps are computed by {run.executor!r}, not on the cluster {run.ray!r}"
        raise _Impossible("run.ray", message, 'executor = "ray" computes them there')
    for field in msgspec.structs.fields(records.PriceSettings):
        price = getattr(settings.prices, field.name)
        if isinstance(price, float) and not (isfinite(price) and price >= 0):
            raise _Impossible(f"prices.{field.name}", f"expected 0 or more, got {price}")


def _refuse_unless_module(name: str, key: str) -> None:
    if name.endswith(".py") or not all(_is_identifier(part) for part in name.split(".")):
        message = f"expected the name of a Python module, got {name!r}"
        bare = name.removesuffix(".py")
        is_near = bare != name and all(_is_identifier(part) for part in bare.split("."))
        hint = f"without .py: {bare}" if is_near else "for example pipeline, or flights.pipeline"
        raise _Impossible(key, message, hint)


def _is_identifier(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _refuse_data(settings: Settings) -> None:
    for name, data in settings.data.items():
        if not is_dataset_name(name):
            message = f"expected letters, digits and '_' in a dataset's name, got {name!r}"
            raise _Impossible(f"data.{name}", message, f"a step's parameter: {NAME_RULE}")
        if data.path and data.source == "production":
            message = f"rows come from files or from production, not both, got path {data.path!r}"
            raise _Impossible(f"data.{name}", message, "leave out `path` or `source`")
        if data.keep < 0:
            message = f"expected how many versions are kept, got {data.keep}"
            raise _Impossible(f"data.{name}.keep", message, "0 keeps all of them")
        _refuse_catalog(f"data.{name}", data)
        _refuse_source(f"data.{name}", data)
        if f"{name}_quarantine" in settings.data:
            message = f"rows of {name!r} that break its contract are kept there"
            raise _Impossible(f"data.{name}_quarantine", message, "give that dataset another name")
        if data.on_violation == "quarantine":
            _refuse_quarantine(name, data)


def _refuse_catalog(key: str, data: records.DataSettings) -> None:
    for what in ("personal", "readers", "tags"):
        if "" in getattr(data, what):
            raise _Impossible(f"{key}.{what}", "expected names, got ''")
    hours = data.fresh_within_hours
    if hours is not None and not (isfinite(hours) and hours > 0):
        message = f"expected more than 0 hours, got {hours}"
        raise _Impossible(f"{key}.fresh_within_hours", message, "leave it out if it never ages")


_NEEDED = {"sql": ("query", "connection"), "delta": ("path",), "http": ("url",)}
_TAKEN = {
    "files": {"path", "watch"},
    "production": {"path"},
    "sql": {"query", "connection", "every"},
    "delta": {"path", "version", "every"},
    "http": {"url", "headers", "plain_http", "at_most_mb", "every"},
    "pushed": set[str](),
}
_OF_SOURCES = set().union(*_TAKEN.values())


def _refuse_source(key: str, data: records.DataSettings) -> None:
    for needed in _NEEDED.get(data.source, ()):
        if not getattr(data, needed):
            message = f'rows of source = "{data.source}" need `{needed}`'
            raise _Impossible(key, message, "docs/sources.md shows each source")
    for field in msgspec.structs.fields(records.DataSettings):
        is_foreign = field.encode_name in _OF_SOURCES - _TAKEN[data.source]
        default = {} if field.name == "headers" else field.default
        if is_foreign and getattr(data, field.name) != default:
            message = f'rows of source = "{data.source}" have no `{field.name}`'
            raise _Impossible(f"{key}.{field.name}", message, "docs/sources.md shows each source")
    if data.source == "http" and _has_login(data.url):
        message = "expected an address without user and password"  # which are not shown
        hint = 'headers = { Authorization = "Basic env:NAME" }, and base64 of USER:PASSWORD in NAME'
        raise _Impossible(f"{key}.url", message, hint)
    if data.watch and not data.path:
        raise _Impossible(f"{key}.watch", "there is no `path` to watch")
    if data.version is not None and data.version < 0:
        raise _Impossible(f"{key}.version", f"expected 0 or more, got {data.version}")
    if data.at_most_mb < 1:
        raise _Impossible(f"{key}.at_most_mb", f"expected 1 or more, got {data.at_most_mb}")


_WHOLE = {
    "pushed": (
        "a batch with rows that break the contract is refused whole, and its sender is told"
    ),
    "production": ("they are taken in as they were answered"),
}


def _has_login(url: str) -> bool:
    return "@" in re.sub(r"^[^/]*//", "", url).partition("/")[0]


def _refuse_quarantine(name: str, data: records.DataSettings) -> None:
    if data.source in _WHOLE:
        message = f'rows of source = "{data.source}" are not set aside: {_WHOLE[data.source]}'
        raise _Impossible(f"data.{name}.on_violation", message, "leave out `on_violation`")
    if not data.contract:
        message = "there is no contract that rows could break"
        hint = f"add a contract: cd4ml data suggest {name} writes one"
        raise _Impossible(f"data.{name}.on_violation", message, hint)


def _refuse_model(model: records.ModelSettings) -> None:
    for key in ("training", "holdout", "target", "event_time"):
        if not getattr(model, key):
            raise _Impossible(f"model.{key}", "expected a name, got ''")
    if model.training == model.holdout:
        message = f"{model.training!r} cannot both teach a model and judge it"
        raise _Impossible("model.holdout", message, "judge it on rows it has not seen")
    if model.target in model.key:
        message = f"{model.target!r} is what is to be predicted, and identifies no row"
        raise _Impossible("model.key", message)
    if model.target in (model.event_time, *model.slices):
        key = "event_time" if model.target == model.event_time else "slices"
        raise _Impossible(f"model.{key}", f"{model.target!r} is what is to be predicted")
    if len(set(model.slices)) < len(model.slices):
        raise _Impossible("model.slices", f"a column stands twice in {list(model.slices)}")
    if len(set(model.key)) < len(model.key):
        raise _Impossible("model.key", f"a column stands twice in {list(model.key)}")


def _refuse_environments(settings: Settings) -> None:
    for name in settings.environments:
        if not _FOLDER_NAME.fullmatch(name) or len(name) > _LONGEST:
            message = f"expected letters, digits, '.', '_' and '-' in its name, got {name!r}"
            raise _Impossible(f"environments.{name}", message, "for example production")
        if settings.environments[name].approvals == {}:
            message = "expected how many approvals of which role, got none"
            hint = "{ release-manager = 1 }, or leave it out if nobody has to agree"
            raise _Impossible(f"environments.{name}.approvals", message, hint)
        _refuse_other_data(settings, name)
        _refuse_unless_json(settings.environments[name].parameters, name)


def _refuse_other_data(settings: Settings, environment: str) -> None:
    for name, wanted in settings.environments[environment].data.items():
        key = f"environments.{environment}.data.{name}"
        if name not in settings.data:
            known = ", ".join(settings.data) or "none"
            raise _Impossible(key, f"there is no [data.{name}]", f"known: {known}")
        if not wanted:
            hint = "a version like flights@3, another dataset, or a path"
            raise _Impossible(key, "expected which data, got ''", hint)


def _refuse_unless_json(parameters: dict[str, object], environment: str) -> None:
    for name, value in parameters.items():
        if kind := _not_json(value):
            message = f"no parameter is a {kind}"
            hint = "a number, text, true, false, or a list or table of these"
            raise _Impossible(f"environments.{environment}.parameters.{name}", message, hint)


def _not_json(value: object) -> str:
    """The kind of the first value in it that JSON cannot hold; "" if it can hold all."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return next((kind for each in inner if (kind := _not_json(each))), "")
    is_json = isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))
    return "" if is_json else type(value).__name__


def _refuse_monitoring(settings: Settings) -> None:
    monitoring = settings.monitoring
    if not 0 <= monitoring.matures_after_hours <= _CENTURY_HOURS:
        got = f"{monitoring.matures_after_hours:,}"
        message = f"expected 0 to {_CENTURY_HOURS:,} hours, got {got}"
        raise _Impossible("monitoring.matures_after_hours", message)
    if not (isfinite(monitoring.drift) and monitoring.drift > 0):
        message = f"expected a PSI above 0, got {monitoring.drift}"
        raise _Impossible("monitoring.drift", message, "0.2 is a usual one")
    if len(set(monitoring.metrics)) < len(monitoring.metrics):
        message = f"a metric stands twice in {list(monitoring.metrics)}"
        raise _Impossible("monitoring.metrics", message)
    _refuse_unknown_environment(settings, monitoring.environment, "monitoring.environment")


def _refuse_retrain(settings: Settings) -> None:
    retrain = settings.retrain
    _refuse_unknown_environment(settings, retrain.environment, "retrain.environment")
    target = settings.data.get(retrain.dataset)
    if retrain.when and (target is None or target.source != "production"):
        message = f'there is no [data.{retrain.dataset}] with source = "production"'
        hint = "that is where retraining puts the labelled rows of production"
        raise _Impossible("retrain.dataset", message, hint)


def _refuse_webhooks(settings: Settings) -> None:
    for name, webhook in settings.webhooks.items():
        for wrong in wrong_in(name, webhook):
            raise _Impossible(*wrong)


def _refuse_unknown_environment(settings: Settings, name: str, key: str) -> None:
    # a project that has no production yet did not ask for it to be watched: it is the default
    is_default = name == records.MonitoringSettings().environment
    if not is_default and name not in settings.environments:
        known = ", ".join(settings.environments) or f"none: add [environments.{name}]"
        raise _Impossible(key, f"there is no environment {name!r}", f"known: {known}")
