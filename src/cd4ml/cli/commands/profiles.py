"""What a version looks like, and what is different between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.diff import DatasetDiff, RowChange, RowDiff, Shift
    from cd4ml.records.summary import ColumnSummary, TableSummary

_HEIGHTS = " ▁▂▃▄▅▆▇█"
_WIDE = 30  # characters of a bar that is drawn sideways
_TOP = 3  # categories in one line
_LISTED = 12  # files, columns, cells


def add_to(nouns: Commands) -> None:
    """`data profile|diff`."""
    parser = nouns.add(
        "profile",
        profile,
        "show what is in the columns of a dataset: missing values, range, histogram",
        "It was counted when the version was made; no row is read again.",
    )
    parser.add_argument("ref", metavar="NAME[@NUMBER]", help="a dataset, or one of its versions")
    parser.add_argument("--column", metavar="NAME", default="", help="all about one column")
    parser = nouns.add(
        "diff",
        diff,
        "show what is different between two versions of a dataset",
        "Files, columns, rows by key, and how far the values of each column have moved.\n"
        "Rows without a key are told apart by all of their values. Where the contract names an\n"
        "arrival time, the latest row of each key is compared; --key KEY,ARRIVAL_TIME compares all.",
    )
    parser.add_argument("before", metavar="NAME@NUMBER", help="the version before")
    parser.add_argument("after", metavar="NAME[@NUMBER]", help="the version after")
    parser.add_argument(
        "--key",
        metavar="COLUMN,...",
        default="",
        help="columns that say which row is which (default: the key of the contract)",
    )
    parser.add_argument("--html", metavar="FILE", default="", help="write it as a page, too")


def profile(given: Given) -> Answer[Any]:
    """What the columns hold."""
    from cd4ml.loop.diff import profile as look
    from cd4ml.loop.diff import profile_column

    words = given.words
    if words.column:
        return Answer(
            profile_column(given.project, words.ref, words.column, actor=given.asker), _show_column
        )
    return Answer(look(given.project, words.ref, actor=given.asker), _show_profile)


def diff(given: Given) -> Answer[DatasetDiff]:
    """What is different."""
    from cd4ml.loop.diff import diff as compare

    words = given.words
    key = [name.strip() for name in words.key.split(",") if name.strip()]
    found = compare(given.project, words.before, words.after, key=key, actor=given.asker)
    if words.html:
        _write(Path(words.html), found)
    return Answer(found, _show_diff)


def _write(path: Path, found: DatasetDiff) -> None:
    from cd4ml.errors import InvalidInput
    from cd4ml.web.report import diff_report

    try:
        path.write_text(diff_report(found), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None


# --- a profile ------------------------------------------------------------------------------


def _show_profile(screen: Screen, table: TableSummary) -> None:
    from cd4ml.cli.screen import counted

    rows, columns = counted(table.n_rows, "row"), counted(len(table.columns), "column")
    screen.title(f"{table.ref}: {rows}, {columns}")
    screen.table(
        ("column", "missing", "distinct", "values", "histogram"),
        (
            (
                column.name,
                _share(_missing(column), column.n_rows),
                _distinct(column),
                _values(column),
                _outline(column),
            )
            for column in table.columns
        ),
    )


def _show_column(screen: Screen, column: ColumnSummary) -> None:
    from cd4ml.cli.screen import number

    screen.title(column.name)
    screen.facts(
        (
            ("type", column.type),
            ("counted", f"by its size in {column.unit}" if column.kind == "length" else ""),
            ("rows", f"{column.n_rows:,}"),
            ("null", f"{column.n_null:,}"),
            ("not a number", f"{column.n_nan:,}" if column.n_nan else ""),
            ("infinite", f"{column.n_infinite:,}" if column.n_infinite else ""),
            ("distinct", _distinct(column)),
            ("least", _end(column.minimum)),
            ("greatest", _end(column.maximum)),
            ("mean", "" if column.mean is None else number(column.mean)),
            ("deviation", "" if column.deviation is None else number(column.deviation)),
        )
    )
    if column.quantiles:
        screen.line()
        screen.table(
            ("quantile", "value", "at least", "at most"),
            (
                (f"{100 * q.share:g} %", *map(_figure, (q.value, q.low, q.high)))
                for q in column.quantiles
            ),
        )
    if column.bars:
        screen.line()
        most = max(bar.n_rows for bar in column.bars) or 1
        screen.table(
            ("values", "rows", ""),
            (
                (bar.label, f"{bar.n_rows:,.0f}", "█" * round(bar.n_rows / most * _WIDE))
                for bar in column.bars
            ),
        )


def _missing(column: ColumnSummary) -> int:
    return column.n_null + column.n_nan + column.n_infinite


def _share(n_rows: int, of: int) -> str:
    if not n_rows:
        return "0"
    share = 100 * n_rows / of
    return f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"


def _distinct(column: ColumnSummary) -> str:
    if column.n_distinct is None:
        return ""
    if column.n_distinct == column.n_distinct_at_most:
        return f"{column.n_distinct:,}"
    return f"{column.n_distinct:,} to {column.n_distinct_at_most:,}"


def _values(column: ColumnSummary) -> str:
    """The ends and what lies in the middle, or the commonest values."""
    if column.kind == "category":
        return ", ".join(
            f"{text or repr(text)} {_share(count, column.n_rows)}"
            for text, count in column.top[:_TOP]
        )
    if column.minimum is None:
        return ""
    if column.kind == "time":
        return f"{_end(column.minimum)} to {_end(column.maximum)}"
    median = next((_figure(q.value) for q in column.quantiles if q.share == 0.5), "")
    return f"{_end(column.minimum)} .. {median} .. {_end(column.maximum)} {column.unit}".strip()


def _end(value: float | str | None) -> str:
    """A least or greatest value; a moment without the parts that are zero."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.removesuffix(".000000").removesuffix("T00:00:00").replace("T", " ")
    return str(value) if isinstance(value, int) and abs(value) < 10**12 else _figure(value)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e12 else f"{value:.4g}"


def _outline(column: ColumnSummary) -> str:
    """The bars, an eighth of a line high each step."""
    # what is not listed would be the highest bar of all, and says nothing
    bars = column.bars[:-1] if column.n_others else column.bars
    most = max((bar.n_rows for bar in bars), default=0)
    if not most:
        return ""
    steps = len(_HEIGHTS) - 1
    return "".join(
        _HEIGHTS[max(1, round(bar.n_rows / most * steps)) if bar.n_rows > 0 else 0] for bar in bars
    )


# --- a diff ---------------------------------------------------------------------------------


def _show_diff(screen: Screen, found: DatasetDiff) -> None:
    screen.title(f"{found.before} to {found.after}")
    _show_files(screen, found)
    if found.columns:
        screen.line()
        screen.table(
            ("column", "change", "before", "after"),
            ((each.column, each.change, each.before, each.after) for each in found.columns),
        )
    if found.rows is not None:
        screen.line()
        _show_rows(screen, found.rows)
    if found.shifts:
        screen.line()
        _show_shifts(screen, found.shifts)


def _show_files(screen: Screen, found: DatasetDiff) -> None:
    files = found.files
    counts = (
        (files.n_added, "added"),
        (files.n_removed, "removed"),
        (files.n_changed, "changed"),
        (files.n_renamed, "renamed"),
        (files.n_same, "the same"),
    )
    screen.facts([("files", ", ".join(f"{n:,} {what}" for n, what in counts if n) or "none")])
    if files.listed:
        screen.table(
            ("change", "file", "before", "after"),
            (
                (
                    each.change,
                    f"{each.path_before} -> {each.path}" if each.path_before else each.path,
                    _size(each.size_before),
                    _size(each.size_after),
                )
                for each in files.listed[:_LISTED]
            ),
            indent=2,
        )
        _more(screen, len(files.listed) - _LISTED)


def _size(n_bytes: int | None) -> str:
    from cd4ml.cli.screen import size

    return "" if n_bytes is None else size(n_bytes)


def _more(screen: Screen, n: int) -> None:
    if n > 0:
        screen.line(f"... and {n:,} more", indent=2, style="dim")


def _show_rows(screen: Screen, rows: RowDiff) -> None:
    by = ", ".join(rows.key) if rows.key else "all of their values"
    by += f", each as its latest {rows.corrected_by} left it" if rows.corrected_by else ""
    nulls = max(rows.n_null_keys_before, rows.n_null_keys_after)
    apart = rows.n_unmatched_before + rows.n_unmatched_after
    screen.facts(
        (
            ("rows", f"{rows.n_before:,} before, {rows.n_after:,} after, told apart by {by}"),
            ("added", f"{rows.n_added:,}"),
            ("removed", f"{rows.n_removed:,}"),
            ("changed", f"{rows.n_changed:,}" if rows.key else ""),
            ("the same", f"{rows.n_same:,}"),
            ("not matched", _unmatched(rows) if apart else ""),
            (
                "null in the key",
                f"{rows.n_null_keys_before:,} before, {rows.n_null_keys_after:,} after"
                if nulls
                else "",
            ),
            ("changed in", ", ".join(f"{name} {n:,}" for name, n in rows.changed_in[:_LISTED])),
            ("not compared", ", ".join(rows.left_out)),
        )
    )
    if rows.samples:
        screen.line()
        screen.table(
            ("change", "key" if rows.key else "rows", "values"), map(_sample, rows.samples)
        )


def _unmatched(rows: RowDiff) -> str:
    keys = ", ".join("/".join(map(_cell, key)) for key in rows.duplicates[:_TOP])
    counts = f"{rows.n_unmatched_before:,} before, {rows.n_unmatched_after:,} after"
    return f"{counts}: their key is not unique, as {keys}"


def _sample(row: RowChange) -> tuple[str, ...]:
    key = "/".join(map(_cell, row.key)) if row.key else f"{row.n_rows:,}"
    cells = row.cells[:_LISTED]
    if row.change == "changed":
        said = [f"{c.column}: {_cell(c.before)} -> {_cell(c.after)}" for c in cells]
    else:
        said = [
            f"{c.column}={_cell(c.after if row.change == 'added' else c.before)}" for c in cells
        ]
    more = f", ... {len(row.cells) - _LISTED} more" if len(row.cells) > _LISTED else ""
    return row.change, key, ", ".join(said) + more


def _cell(value: float | str | None) -> str:
    return "null" if value is None else str(value)


def _show_shifts(screen: Screen, shifts: tuple[Shift, ...]) -> None:
    screen.table(
        ("column", "psi", "by chance", "js", "ks", "mean", "outcome"),
        (
            (
                shift.column,
                *(_index(v) for v in (shift.stability, shift.noise_floor)),
                *(_index(v) for v in (shift.divergence, shift.distance)),
                _means(shift),
                f"{shift.outcome}: {shift.reason}" if shift.reason else shift.outcome,
            )
            for shift in sorted(shifts, key=_most_moved)
        ),
    )


def _most_moved(shift: Shift) -> tuple[bool, float]:
    return shift.outcome != "alarm", -(shift.stability or 0.0)


def _index(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _means(shift: Shift) -> str:
    if shift.mean_before is None or shift.mean_after is None:
        return ""
    return f"{_figure(shift.mean_before)} -> {_figure(shift.mean_after)}"
