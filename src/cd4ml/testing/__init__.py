"""Checks that you run on models of your own, in pytest or anywhere else.

`check_model(model, rows)` puts every promise of a served model to the test, and says all that is broken
at once. `model_checks(model, rows)` gives the checks one by one, each with a name:

    @pytest.mark.parametrize("check", model_checks(MODEL, ROWS, increasing=["ram"]), ids=str)
    def test_the_model(check):
        check()

They are the checks of gates of `kind = "behaviour"`. A model is anything with scikit-learn's `predict` or
`predict_proba`, or a version of a project: `load_model("delay/3")`. `rows_like` makes rows of a contract.
"""

from cd4ml.testing.checks import ModelCheck, ModelMisbehaves, check_model, model_checks
from cd4ml.testing.models import load_model
from cd4ml.testing.rows import rows_like

__all__ = [
    "ModelCheck",
    "ModelMisbehaves",
    "check_model",
    "load_model",
    "model_checks",
    "rows_like",
]
