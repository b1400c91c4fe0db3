"""The example of house prices: its gates accept what behaves, and refuse what does not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.explain import explain_rows
from cd4ml.loop.init import init
from cd4ml.loop.train import train
from cd4ml.pipeline.module import imported
from cd4ml.records.finding import Finding
from cd4ml.testing import ModelMisbehaves, check_model

EXAMPLE = Path(__file__).parents[2] / "examples" / "houses"
RULES = ["lotsize", "bathrooms", "storeys"]
HOUSE = {
    "lotsize": 3000.0,
    "bedrooms": 3,
    "bathrooms": 1,
    "storeys": 1,
    "garage": 0,
    "driveway": True,
    "recreation": False,
    "basement": False,
    "gas": False,
    "cooled": False,
    "preferred": False,
}
Judge = Callable[..., dict[str, Finding]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("examples") / "houses"
    init(folder, example="houses", actor="ann")
    policy = folder / "cd4ml.toml"  # its load takes longest, and is told apart elsewhere
    policy.write_text(
        policy.read_text().replace("memory_mb = 1000", "memory_mb = 1000\nrequests = 100")
    )
    with open_project(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def judged(project: Project) -> Judge:
    """The gated findings on a run with these parameters, by the example's own gates."""

    def verdict(**parameters: str) -> dict[str, Finding]:
        overrides = {f"price.{name}": value for name, value in parameters.items()}
        run = train(project, overrides=overrides, actor="ann").run
        given = evaluate(project, run.ref, actor="ann").verdict
        return {finding.gate: finding for finding in given.findings if finding.is_gated}

    return verdict


def failed(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.outcome != "pass"}


@pytest.mark.slow
def test_a_straight_line_is_accepted_and_its_prices_are_explained(
    project: Project, judged: Judge
) -> None:
    found = judged(algorithm="linear")

    assert failed(found) == set()
    assert found["an extreme value is answered or refused"].n_rows > 60
    assert found["largest share at most 0.4"].reason == "cooled carries 16 %"
    (answer,) = explain_rows(project, "price/1", [HOUSE])
    assert answer.words == (
        "43,329, where an average request gets 63,610: lowered by lotsize (3000), "
        "storeys (1) and cooled (False)"
    )


@pytest.mark.slow
def test_boosting_that_sells_more_house_for_less_and_hangs_on_one_field_is_refused(
    judged: Judge,
) -> None:
    found = judged(algorithm="boosting", fields="few")

    assert failed(found) == {"increasing in lotsize", "largest share at most 0.4"}
    assert "gives" in found["increasing in lotsize"].reason


def test_boosting_that_was_told_what_costs_more_behaves() -> None:
    """The same checks as the gate's, in this process: a second instead of several."""
    with imported(EXAMPLE, "pipeline") as pipeline, imported(EXAMPLE, "world") as world:
        houses = pipeline.houses(world.sales())
        told = pipeline.price(pipeline.training(houses), algorithm="monotonic")
        untold = pipeline.price(pipeline.training(houses), algorithm="boosting")
        contract = pipeline.House
    rows = houses.select(contract.names).gather_every(5)

    check_model(told, rows, contract=contract, increasing=RULES)
    with pytest.raises(ModelMisbehaves, match="2 of 13 checks failed"):
        check_model(untold, rows, contract=contract, increasing=RULES)


@pytest.mark.filterwarnings("ignore:overflow")
def test_without_limits_in_the_contract_an_absurd_request_breaks_it() -> None:
    """A price that is learned as a logarithm is infinite for a billion bathrooms."""
    with imported(EXAMPLE, "pipeline") as pipeline, imported(EXAMPLE, "world") as world:
        houses = pipeline.houses(world.sales())
        model = pipeline.price(pipeline.training(houses))
        contract = pipeline.House
    open_fields = tuple(replace(each, minimum=None, maximum=None) for each in contract.fields)
    rows = houses.select(contract.names).head(20)

    with pytest.raises(
        ModelMisbehaves, match="an extreme value is answered or refused: "
    ) as caught:
        check_model(model, rows, contract=replace(contract, fields=open_fields))
    assert "the answer is inf" in str(caught.value)


def test_the_data_are_real_sales_each_of_them_once(project: Project) -> None:
    with imported(EXAMPLE, "pipeline") as pipeline, imported(EXAMPLE, "world") as world:
        sales = world.sales()
        houses = pipeline.houses(sales)

    assert (sales.height, houses.height) == (546, 545)
    assert (sales["price"].min(), sales["price"].max()) == (25_000, 190_000)
