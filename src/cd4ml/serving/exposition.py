"""What all workers of an endpoint have counted, as Prometheus reads it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from cd4ml.serving.board import SPILLED, Slot

LATENCY = "cd4ml_request_seconds"
BOUNDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ENDS = (*map("{:g}".format, BOUNDS), "+Inf")


class Metric(NamedTuple):
    """A name of numbers, and what the workers' numbers are together."""

    kind: Literal["counter", "gauge", "histogram"]
    help_text: str
    fold: Callable[[Collection[float]], float] = sum
    is_always_there: bool = False


def _least(numbers: Collection[float]) -> float:
    return min(filter(None, numbers), default=0.0)  # 0: the worker has none yet


METRICS = {
    "cd4ml_plan": Metric("gauge", "Number of the plan in force; the oldest one.", _least, True),
    "cd4ml_workers": Metric("gauge", "Processes that accept connections."),
    "cd4ml_worker_deaths_total": Metric("counter", "Workers that ended without being told to."),
    "cd4ml_requests_total": Metric("counter", "Answers to requests for predictions."),
    "cd4ml_refused_total": Metric("counter", "Requests refused as wrong.", sum, True),
    LATENCY: Metric("histogram", "From a request's last byte to its answer, in seconds."),
    "cd4ml_predictions_total": Metric("counter", "Rows answered."),
    "cd4ml_failures_total": Metric("counter", "Rows a model failed on."),
    "cd4ml_violations_total": Metric("counter", "Violations of the contract, of those listed."),
    "cd4ml_unknown_categories_total": Metric(
        "counter", "Strings outside the list of a field that the contract leaves open."
    ),
    "cd4ml_contract_warnings_total": Metric(
        "counter", "Values that are amiss and that the contract forgives."
    ),
    "cd4ml_requests_in_flight": Metric("gauge", "Requests read and not answered."),
    "cd4ml_connections": Metric("gauge", "Connections that callers hold open."),
    "cd4ml_shadow_queue": Metric("gauge", "Rows that wait for the shadows."),
    "cd4ml_shadow_copies_dropped_total": Metric(
        "counter", "Rows not copied to the shadows, because too many were waiting.", sum, True
    ),
    "cd4ml_capture_unsynced_seconds": Metric(
        "gauge", "Age of the oldest answer that a power cut would take.", max
    ),
    "cd4ml_capture_lag_seconds": Metric(
        "gauge", "Age of the oldest answer that the prediction log does not have yet.", max
    ),
    "cd4ml_capture_missing_total": Metric(
        "counter", "Answers given that could not be recorded.", sum, True
    ),
    "cd4ml_capture_sampled_out_total": Metric(
        "counter", "Answers not recorded because they are not of the sample.", sum, True
    ),
    "cd4ml_memory_bytes": Metric("gauge", "Memory of the processes."),
    "cd4ml_process_cpu_seconds_total": Metric("counter", "CPU time of the processes."),
    "cd4ml_cpu_seconds_total": Metric("counter", "CPU time by what was answered with it."),
    "cd4ml_cost_total": Metric("counter", "What it cost by the prices of cd4ml.toml."),
    "cd4ml_cpu_seconds_per_1000_predictions": Metric("gauge", "By version."),
    "cd4ml_cost_per_1000_predictions": Metric("gauge", "By version, idle time included."),
    SPILLED: Metric("counter", "Counted under names for which there was no room."),
}
GAUGES = {name for name, metric in METRICS.items() if metric.kind == "gauge"}


def text(slots: Sequence[Slot]) -> str:
    """The numbers of all writers together, in Prometheus' text format."""
    numbers = folded([slot.read() for slot in slots])
    numbers["cd4ml_workers"] = sum(slot.is_there for slot in slots)
    numbers["cd4ml_connections"] = sum(slot.n_connections for slot in slots)
    numbers |= _derived(numbers)
    of: dict[str, dict[str, float]] = {name: {} for name in METRICS}
    for name, number in numbers.items():
        of[_metric_of(name)][name] = number
    return "".join(_block(name, metric, of[name]) for name, metric in METRICS.items())


def folded(written: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each number of several writers once, as its metric says.

    Examples:
        >>> folded([{"cd4ml_plan": 3, "cd4ml_workers": 1}, {"cd4ml_plan": 4, "cd4ml_workers": 1}])
        {'cd4ml_plan': 3, 'cd4ml_workers': 2}
    """
    found: dict[str, list[float]] = defaultdict(list)
    for numbers in written:
        for name, number in numbers.items():
            found[name].append(number)
    return {name: METRICS[_metric_of(name)].fold(numbers) for name, numbers in found.items()}


def forget_present(slot: Slot) -> None:
    """What a worker that is gone had now; what it had counted is kept."""
    slot.n_connections, slot.is_there = 0, False
    slot.clear(GAUGES)


def sample(metric: str, labels: Mapping[str, object]) -> str:
    r"""The name of one number, as Prometheus reads it.

    Examples:
        >>> print(sample("cd4ml_requests_total", {"status": 200}))
        cd4ml_requests_total{status="200"}
        >>> print(sample("cd4ml_violations_total", {"field": 'a"b'}))
        cd4ml_violations_total{field="a\"b"}
    """
    pairs = ",".join(f"{name}={_quoted(str(value))}" for name, value in labels.items())
    return f"{metric}{{{pairs}}}" if pairs else metric


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _metric_of(name: str) -> str:
    metric = name.partition("{")[0]
    return LATENCY if metric.startswith(LATENCY) else metric


def _derived(numbers: Mapping[str, float]) -> dict[str, float]:
    refused = sum(
        n for name, n in numbers.items() if name.startswith('cd4ml_requests_total{status="4')
    )
    answered = _by_version(numbers, "cd4ml_predictions_total")
    found = {"cd4ml_refused_total": refused}
    for total, share in (
        ("cd4ml_cpu_seconds_total", "cd4ml_cpu_seconds_per_1000_predictions"),
        ("cd4ml_cost_total", "cd4ml_cost_per_1000_predictions"),
    ):
        for labels, number in _by_version(numbers, total).items():
            n = answered.get(_CURRENCY.sub("", labels), 0)
            if n:
                found[f"{share}{{{labels}}}"] = number / n * 1000
    return found


_ROLE = re.compile(r',role="[a-z]+"')
_CURRENCY = re.compile(r",currency=.*$")


def _by_version(numbers: Mapping[str, float], metric: str) -> dict[str, float]:
    """A metric's numbers by their labels without the role."""
    found: dict[str, float] = defaultdict(float)
    for name, number in numbers.items():
        if name.startswith(f"{metric}{{"):
            found[_ROLE.sub("", name[len(metric) + 1 : -1])] += number
    return found


def _block(name: str, metric: Metric, numbers: Mapping[str, float]) -> str:
    if not numbers and metric.is_always_there:
        numbers = {name: 0}
    lines = _histogram(numbers) if metric.kind == "histogram" else sorted(numbers.items())
    shown = "".join(f"{sample_name} {_number(n)}\n" for sample_name, n in lines)
    return f"# HELP {name} {metric.help_text}\n# TYPE {name} {metric.kind}\n{shown}"


def _histogram(numbers: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each bucket with all that are shorter, as Prometheus has them, and how many there are."""
    sums = {name: n for name, n in numbers.items() if name.startswith(f"{LATENCY}_sum")}
    lines: list[tuple[str, float]] = []
    for total in sorted(sums):
        labels, n = total.removeprefix(f"{LATENCY}_sum{{").removesuffix("}"), 0.0
        for end in ENDS:
            bucket = f'{LATENCY}_bucket{{{labels},le="{end}"}}'
            n += numbers.get(bucket, 0)
            lines.append((bucket, n))
        lines += [(total, sums[total]), (f"{LATENCY}_count{{{labels}}}", n)]
    return lines


def _number(n: float) -> str:
    return f"{n:.0f}" if float(n).is_integer() else f"{n:.9g}"
