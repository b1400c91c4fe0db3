"""What a serving process counts, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cd4ml.records.plan import Arm, Role
from cd4ml.serving.answers import Group

Label = tuple[str, int, Role]


class Counts:
    """Counts since the process began. One thread writes each number."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()  # by HTTP status
        self.answered: Counter[Label] = Counter()
        self.failed: Counter[Label] = Counter()
        self.unknown: Counter[str] = Counter()  # categories, by field
        self.warned: Counter[tuple[str, str]] = Counter()  # values forgiven, by field and kind
        self.dropped = 0  # copies that no shadow answered
        self.missing = 0  # answers given and not recorded
        self.sampled_out = 0  # answers not recorded because they are not of the sample

    def add(self, answered: Group) -> None:
        """Count what one version answered, and where it failed."""
        n_failed = answered.scores.count(None)
        label = _label(answered.version.arm)
        if n_failed:
            self.failed[label] += n_failed
        if n_answered := len(answered.scores) - n_failed:
            self.answered[label] += n_answered

    def add_failure(self, arm: Arm) -> None:
        """Count a request that was not answered because its version failed."""
        self.failed[_label(arm)] += 1

    @property
    def n_answered(self) -> int:
        """Predictions that callers were given."""
        return sum(n for (*_, role), n in list(self.answered.items()) if role != "shadow")

    def text(self, plan: int) -> str:
        """All counts in Prometheus' text format."""
        statuses = {f'{{status="{status}"}}': n for status, n in sorted(self.requests.items())}
        unknown = {f"{{field={_quoted(name)}}}": n for name, n in sorted(self.unknown.items())}
        warned = {
            f'{{field={_quoted(name)},kind="{kind}"}}': n
            for (name, kind), n in sorted(self.warned.items())
        }
        refused = sum(n for status, n in self.requests.items() if 400 <= status < 500)
        blocks = [
            _block("cd4ml_plan", "gauge", "Number of the plan in force.", {"": plan}),
            _block("cd4ml_requests_total", "counter", "Answers to POST /predict.", statuses),
            _block("cd4ml_refused_total", "counter", "Requests refused as wrong.", {"": refused}),
            _block(
                "cd4ml_predictions_total", "counter", "Rows answered.", _by_label(self.answered)
            ),
            _block(
                "cd4ml_failures_total", "counter", "Rows a model failed on.", _by_label(self.failed)
            ),
            _block(
                "cd4ml_unknown_categories_total",
                "counter",
                "Strings outside the list of a field that the contract leaves open.",
                unknown,
            ),
            _block(
                "cd4ml_contract_warnings_total",
                "counter",
                "Values that are amiss and that the contract forgives.",
                warned,
            ),
            _block(
                "cd4ml_shadow_copies_dropped_total",
                "counter",
                "Rows not copied to the shadows, because too many were waiting.",
                {"": self.dropped},
            ),
            _block(
                "cd4ml_capture_missing_total",
                "counter",
                "Answers given that could not be recorded.",
                {"": self.missing},
            ),
            _block(
                "cd4ml_capture_sampled_out_total",
                "counter",
                "Answers not recorded because they are not of the sample.",
                {"": self.sampled_out},
            ),
        ]
        return "".join(blocks)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _label(arm: Arm) -> Label:
    return arm.model, arm.number, arm.role


def _by_label(counts: Mapping[Label, int]) -> dict[str, int]:
    return {
        f'{{model="{model}",version="{number}",role="{role}"}}': n
        for (model, number, role), n in sorted(counts.items())
    }


def _block(name: str, kind: str, help_text: str, values: Mapping[str, int]) -> str:
    lines = (f"{name}{labels} {n}\n" for labels, n in values.items())
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n{''.join(lines)}"
