"""A wheel that answers in place of the installed one, from the folder that variables name."""

from __future__ import annotations

import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

MODEL_DIRS = ("CD4ML_MODEL_DIR", "SM_MODEL_DIR")
_DEFAULT = "/opt/ml/model"  # where SageMaker unpacks a model's archive


def wheel_given(variables: Mapping[str, str]) -> Path | None:
    """The one wheel in the folder that the variables name; None if there is none.

    Ends the process, in a sentence, if the folder is not there or has several.
    """
    name = next((each for each in MODEL_DIRS if variables.get(each)), "")
    folder = Path(variables[name] if name else _DEFAULT)
    if name and not folder.is_dir():
        sys.exit(f"{name} names the folder {folder}, which is not there")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) > 1:
        sys.exit(f"expected one wheel in {folder}, got {', '.join(each.name for each in wheels)}")
    return wheels[0] if wheels else None


def unpack(wheel: Path, module: str, folder: Path) -> None:
    """Unpack a wheel: a model's files are opened by their path, which an archive does not give.

    Ends the process, in a sentence, if it is damaged, or of something else.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        sys.exit(f"the wheel {wheel} cannot be unpacked: {error}; is it damaged? copy it again")
    if not (folder / module / "__init__.py").is_file():
        sys.exit(f"the wheel {wheel} has no module {module}: package it under the same name")
