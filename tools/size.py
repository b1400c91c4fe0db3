"""Weighs the base install beside MLflow's, and the code beside the best codebases of the field.

A mirror, not a fence: it prints and never fails a build. The base install is made in a
throwaway environment under .cache and kept until the locked requirements change.
"""

import ast
import importlib.metadata
import math
import shutil
import subprocess
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "base.txt"
ENVIRONMENT = ROOT / ".cache" / "base"

# mlflow 3.17.2 on Python 3.11, Linux x86-64, weighed by `weigh` below.
MLFLOW_MB, MLFLOW_DISTRIBUTIONS = 620, 87
INSTALLER = {"pip", "setuptools"}  # came with the environment, not with cd4ml


class Size(NamedTuple):
    """How long something is, in lines, and where it stands."""

    lines: int
    where: str


def main() -> None:
    """Prints both halves of the mirror."""
    print("base install          MB   distributions")
    megabytes, distributions = weigh(base_install())
    print(f"  cd4ml           {megabytes:6.0f}   {distributions:13d}")
    print(f"  mlflow          {MLFLOW_MB:6d}   {MLFLOW_DISTRIBUTIONS:13d}")

    sources, tests = python_files("src"), python_files("tests")
    files = [Size(count_lines(path), str(path.relative_to(ROOT))) for path in sources]
    functions = [size for path in sources for size in functions_in(path)]
    print(
        "\nlines            median   p90   p99   (the field: files p90 <= 400, functions p90 <= 30)"
    )
    print(row("files", files))
    print(row("functions", functions))
    in_tests = sum(count_lines(path) for path in tests)
    in_sources = sum(size.lines for size in files)
    print(f"\nlines in tests: {in_tests / max(in_sources, 1):.1f} x source (usual: 1.2 to 1.6)")
    for title, sizes in (("files", files), ("functions", functions)):
        print(f"\nlargest {title}")
        for size in sorted(sizes, reverse=True)[:6]:
            print(f"  {size.lines:5d}  {size.where}")


def base_install() -> Path:
    """site-packages of an environment with cd4ml and nothing but its base requirements."""
    stamp = ENVIRONMENT / "installed"
    if not stamp.exists() or stamp.stat().st_mtime < REQUIREMENTS.stat().st_mtime:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        venv.create(ENVIRONMENT, with_pip=True)
        _pip("install", "--require-hashes", "-r", str(REQUIREMENTS))
        stamp.touch()
    _pip("install", "--no-deps", "--force-reinstall", str(ROOT))
    return next(ENVIRONMENT.glob("lib/python*/site-packages"))


def _pip(*arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    python = ENVIRONMENT / "bin" / "python"
    subprocess.run([python, "-m", "pip", arguments[0], *quiet, *arguments[1:]], check=True)


def weigh(site_packages: Path) -> tuple[float, int]:
    """What an environment takes on the disk, and how many distributions are in it.

    Not counted are the installer itself and bytecode, which some installers write at once
    and Python writes later.

    Returns:
        Units of 2**20 bytes in whole blocks, as `du -m` shows them; number of distributions.
    """
    found = importlib.metadata.distributions(path=[str(site_packages)])
    count = sum(each.metadata["Name"].lower() not in INSTALLER for each in found)
    counted = (path for path in site_packages.iterdir() if not _is_installer(path))
    entries = (entry for top in counted for entry in (top, *top.rglob("*")))
    blocks = sum(entry.stat().st_blocks for entry in entries if "__pycache__" not in entry.parts)
    return blocks * 512 / 2**20, count


def _is_installer(path: Path) -> bool:
    return path.name.split("-")[0] in INSTALLER | {"pkg_resources", "_distutils_hack"}


def python_files(folder: str) -> list[Path]:
    """Every Python file below a folder of the checkout."""
    return sorted((ROOT / folder).rglob("*.py"))


def count_lines(path: Path) -> int:
    """Lines of a text file."""
    return len(path.read_text().splitlines())


def functions_in(path: Path) -> Iterator[Size]:
    """Every function and method of a file, from its first decorator to its last line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Size((node.end_lineno or node.lineno) - first + 1, where)


def row(title: str, sizes: Sequence[Size]) -> str:
    """One line of the table."""
    lines = [size.lines for size in sizes]
    median, p90, p99 = (quantile(lines, share) for share in (0.5, 0.9, 0.99))
    return f"  {title:12s}    {median:5d} {p90:5d} {p99:5d}   of {len(lines)}"


def quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of all values do not exceed; 0 of none.

    Examples:
        >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.9), quantile([], 0.5)
        (2, 4, 0)
    """
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else 0


if __name__ == "__main__":
    main()
