"""What is added to `cd4ml.toml` is added to what the file says at that moment."""

import threading
from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError, Unavailable
from cd4ml.store.settings import read_settings
from cd4ml.store.settings_edit import editing, write_whole

BEGUN = '[project]\nname = "found"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cd4ml.toml"
    path.write_text(BEGUN)
    return path


def section(name: str) -> str:
    return f'[data.{name}]\npath = "{name}.csv"\n'


def add(path: Path, name: str) -> None:
    with editing(path, path.parent / ".cd4ml") as file:
        file.append(section(name))


def test_a_section_stands_after_what_was_there(path: Path) -> None:
    add(path, "rides")

    assert path.read_text() == f"{BEGUN}\n{section('rides')}"
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == ["cd4ml.toml"]


def test_what_people_write_meanwhile_stays(path: Path) -> None:
    with editing(path, path.parent / ".cd4ml") as file:
        assert list(file.with_section(section("rides")).data) == ["rides"]
        path.write_text(f"{BEGUN}{section('mine')}")
        file.append(section("rides"))

    assert list(read_settings(path).data) == ["mine", "rides"]


def test_many_at_once_lose_nothing(path: Path) -> None:
    names = [f"d{i}" for i in range(20)]
    threads = [threading.Thread(target=add, args=(path, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(read_settings(path).data) == sorted(names)


def test_a_section_that_no_project_can_mean_is_not_written(path: Path) -> None:
    with editing(path, path.parent / ".cd4ml") as file:
        for what in (file.append, file.with_section):
            with pytest.raises(ConfigurationError, match="unknown field `colour`"):
                what('[data.rides]\ncolour = "red"\n')

    assert path.read_text() == BEGUN


def test_line_ends_and_a_byte_order_mark_stay(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf[project]\r\nname = "found"\r\n')

    add(path, "rides")

    assert path.read_bytes().startswith(b'\xef\xbb\xbf[project]\r\nname = "found"\n\n[data.rides]')
    assert list(read_settings(path).data) == ["rides"]


def test_a_link_is_followed_and_the_mode_stays(path: Path) -> None:
    target = path.rename(path.with_name("shared.toml"))
    target.chmod(0o640)
    path.symlink_to(target.name)

    add(path, "rides")

    assert path.is_symlink()
    assert list(read_settings(target).data) == ["rides"]
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_read_only_file_or_folder_is_refused(path: Path) -> None:
    with editing(path, path.parent / ".cd4ml") as file:
        for place, mode in ((path, 0o444), (path.parent, 0o555)):
            before = place.stat().st_mode
            place.chmod(mode)
            with pytest.raises(Unavailable) as refused:
                file.refuse_unless_writable()
            place.chmod(before)
            assert str(refused.value) == (
                f"{place} cannot be written to: it is read-only\n"
                "  hint: may this user write there, and is there room?"
            )
        file.refuse_unless_writable()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        write_whole(tmp_path / "no" / "x.toml", "x")

    assert str(refused.value) == (
        f"{tmp_path}/no/x.toml cannot be written to: No such file or directory\n"
        "  hint: may this user write there, and is there room?"
    )


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("mine")

    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x.toml", "yours", is_new=True)

    assert [each.name for each in tmp_path.iterdir()] == ["x.toml"]
    assert (tmp_path / "x.toml").read_text() == "mine"
