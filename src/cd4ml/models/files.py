"""A model as somebody logged it: its files, kept before anything is proved about them.

Nothing answers from these files. Packaging makes what does, and refuses what is not the same
model; it unpickles only what `models.trust` lets it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Form = Literal["pickle", "joblib", "lightgbm", "xgboost", "onnx", "mlmodel"]

NAMES: dict[str, Form] = {
    ".pickle": "pickle",
    ".pkl": "pickle",
    ".joblib": "joblib",
    ".lgb": "lightgbm",
    ".txt": "lightgbm",
    ".json": "xgboost",
    ".ubj": "xgboost",
    ".onnx": "onnx",
}


class ModelFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a logged model by path, and what is known of them.

    `main` is the path of the one that holds the fitted estimator, "" if none does. `contract`
    and `sample` (Parquet, raw columns of requests) are what packaging needs; `lock` is the
    environment it was fitted in, as a requirements file, and `libraries` those it needs by
    version. All but the versions are content addresses, "" where there is none.
    """

    form: Form
    files: dict[str, str]
    main: str = ""
    contract: str = ""
    sample: str = ""
    lock: str = ""
    libraries: dict[str, str] = {}

    @property
    def estimator(self) -> str:
        """The address of the fitted estimator, "" if there is none."""
        return self.files.get(self.main, "")
