"""A model's own estimator, loaded where it may be, with the code that travels with it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from cd4ml.models import estimator as estimators
from cd4ml.models.carried import CarriedCode
from cd4ml.models.formats import needs_word
from cd4ml.models.own_code import CODE, OwnCode
from cd4ml.models.trust import IsTrusted, refuse_unless_trusted

if TYPE_CHECKING:
    from cd4ml.models.manifest import Manifest
    from cd4ml.store.blobs import Blobs


def fitted_in(blobs: Blobs, manifest: Manifest, *, is_trusted: IsTrusted) -> Any:
    """The estimator of a packaged model.

    Args:
        blobs: Where its parts are.
        manifest: Of the model.
        is_trusted: Whether bytes at an address may be loaded; not asked for an ONNX graph.

    Raises:
        Refused: If it was made elsewhere and nobody answers for it.
        InvalidInput: If it cannot be loaded here.
    """
    code = blobs.get_record(manifest.files[CODE], OwnCode) if CODE in manifest.files else None
    return fitted_at(
        blobs,
        manifest.estimator,
        is_trusted=is_trusted,
        is_joblib=manifest.is_joblib,
        code=code,
    )


def fitted_at(
    blobs: Blobs,
    address: str,
    *,
    is_trusted: IsTrusted,
    is_joblib: bool = False,
    code: OwnCode | None = None,
) -> Any:
    """The estimator at an address; raises as `fitted_in`."""
    data = blobs.get(address)
    if needs_word(data, is_joblib=is_joblib):
        refuse_unless_trusted(address, is_trusted)
    has_code = code is not None and code.modules and not is_joblib
    unpickle = CarriedCode(code.modules).unpickle if code and has_code else pickle.loads
    return estimators.load(data, is_joblib=is_joblib, unpickle=unpickle)
