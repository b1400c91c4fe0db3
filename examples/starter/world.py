"""Writes the starter's data: a table that scikit-learn brings along."""

from pathlib import Path

import polars as pl
from sklearn.datasets import load_breast_cancer


def lay_out(folder: Path) -> None:
    """Write `data/patients.csv`: thirty measurements and the diagnosis of 569 patients."""
    bunch = load_breast_cancer()
    names = [name.replace(" ", "_") for name in bunch.feature_names]
    table = pl.DataFrame(bunch.data, schema=names).with_columns(malignant=1 - bunch.target)
    (folder / "data").mkdir(exist_ok=True)
    table.write_csv(folder / "data" / "patients.csv")
