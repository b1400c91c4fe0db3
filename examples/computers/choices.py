"""The four axes: what there is to choose from, by name.

A run chooses one name on each axis, a search tries all of them. Something new is a new
name: what was tried under an old one keeps its meaning.
"""

import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

PLAIN = ["speed", "hd", "ram", "screen", "cd", "multi", "premium"]
MARKET = [*PLAIN, "ads", "month"]

# which rows teach: conditions on those before the holdout
DATA = {
    "all": pl.lit(True),
    "recent": pl.col("month") > pl.col("month").max() - 12,
    "no-name": pl.col("premium") == 0,
}

# the columns, and how they are prepared
FEATURES = {
    "plain": (PLAIN, StandardScaler),
    "market": (MARKET, StandardScaler),
    "crossed": (MARKET, lambda: make_pipeline(StandardScaler(), PolynomialFeatures(2))),
}

ALGORITHMS = {
    "linear": Ridge,
    "forest": RandomForestRegressor,
    "boosting": HistGradientBoostingRegressor,
}

# of each algorithm
PARAMETERS = {
    "careful": {
        "linear": {"alpha": 100.0},
        "forest": {"n_estimators": 50, "min_samples_leaf": 5, "random_state": 0},
        "boosting": {"max_iter": 60, "learning_rate": 0.1, "random_state": 0},
    },
    "bold": {
        "linear": {"alpha": 0.1},
        "forest": {"n_estimators": 50, "min_samples_leaf": 1, "random_state": 0},
        "boosting": {"max_iter": 200, "learning_rate": 0.2, "random_state": 0},
    },
}


def estimator(features: str, algorithm: str, parameters: str) -> TransformedTargetRegressor:
    """What is to be fitted: prices are learned as logarithms, so that 5 % count as 5 %."""
    columns, prepared = FEATURES[features]
    chosen = ALGORITHMS[algorithm](**PARAMETERS[parameters][algorithm])
    encode = ColumnTransformer([("numbers", prepared(), columns)])
    return TransformedTargetRegressor(
        make_pipeline(encode, chosen), func=np.log, inverse_func=np.exp
    )
