"""Ways to be asked, good and bad, over the contract of the tests' flights."""

from collections.abc import Callable, Sequence

from cd4ml.models.behaviour.asking import Row, RowsRefused
from cd4ml.models.contract import CompiledContract
from tests.models.builders import CONTRACT, flights

COMPILED = CompiledContract(CONTRACT)
ROWS: list[Row] = flights(60).drop("late").to_dicts()


def score(row: Row) -> float:
    """A sound answer: more wind and later hours make it likelier, whatever else is said."""
    return min(1.0, row["hour"] / 50 + min(row["wind"], 30.0) / 60)


def asked(
    one: Callable[[Row], float] = score, *, keeps_contract: bool = True
) -> Callable[[Sequence[Row]], list[float]]:
    """A model that answers each row with `one`."""

    def ask(rows: Sequence[Row]) -> list[float]:
        wrong = [violation for row in rows for violation in COMPILED.check(row)]
        if wrong and keeps_contract:
            raise RowsRefused(f"{wrong[0].field}: expected {wrong[0].expected}")
        return [one(row) for row in rows]

    return ask
