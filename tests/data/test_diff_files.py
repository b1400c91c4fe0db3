"""Files and columns of two versions."""

from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.diff_files import LISTED, diff_columns, diff_files
from cd4ml.records.dataset import Column, DataFile
from cd4ml.records.diff import ColumnChange, FileChange


def files(**digests: str) -> list[DataFile]:
    return [
        DataFile(path=path, size=len(digest), digest=digest) for path, digest in digests.items()
    ]


def columns(**types: str) -> list[Column]:
    return [Column(name=name, type=type_) for name, type_ in types.items()]


def test_each_way_a_file_can_differ() -> None:
    found = diff_files(
        files(kept="k", edited="old", gone="gg", old_name="moved"),
        files(kept="k", edited="newer", come="c", new_name="moved"),
    )

    assert (found.n_added, found.n_removed, found.n_changed) == (1, 1, 1)
    assert (found.n_renamed, found.n_same) == (1, 1)
    assert found.listed == (
        FileChange(change="added", path="come", size_after=1),
        FileChange(change="changed", path="edited", size_before=3, size_after=5),
        FileChange(change="removed", path="gone", size_before=2),
        FileChange(
            change="renamed", path="new_name", path_before="old_name", size_before=5, size_after=5
        ),
    )


paths = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"), max_size=8)


@given(paths, paths)
def test_every_file_is_counted_once(before: dict[str, str], after: dict[str, str]) -> None:
    found = diff_files(files(**before), files(**after))

    stayed = found.n_same + found.n_changed + found.n_renamed
    assert stayed + found.n_removed == len(before)
    assert stayed + found.n_added == len(after)
    back = diff_files(files(**after), files(**before))
    assert (back.n_added, back.n_removed) == (found.n_removed, found.n_added)
    assert (back.n_changed, back.n_renamed) == (found.n_changed, found.n_renamed)


def test_two_copies_of_one_file_are_renamed_one_by_one() -> None:
    found = diff_files(files(a="1"), files(b="1", c="1"))

    assert (found.n_renamed, found.n_added, found.n_removed) == (1, 1, 0)


def test_of_many_files_the_first_are_listed() -> None:
    many = {f"f{i:05d}": str(i) for i in range(20_000)}

    found = diff_files([], files(**many))

    assert (found.n_added, len(found.listed)) == (20_000, LISTED)
    assert found.listed[0].path == "f00000"


def test_each_way_a_column_can_differ() -> None:
    found = diff_columns(
        columns(a="Int64", b="String", gone="Date", c="Int64"),
        columns(c="Int64", a="Int64", b="Int64", come="Date"),
    )

    assert found == (
        ColumnChange(change="added", column="come", after="Date"),
        ColumnChange(change="removed", column="gone", before="Date"),
        ColumnChange(change="retyped", column="b", before="String", after="Int64"),
        ColumnChange(change="moved", column="c", before="4", after="1"),
    )


def test_a_column_that_comes_moves_no_other() -> None:
    found = diff_columns(columns(a="Int64", b="String"), columns(x="Date", a="Int64", b="String"))

    assert [change.change for change in found] == ["added"]
    assert diff_columns(columns(a="Int64"), columns(a="Int64")) == ()
