from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.records.gate import KINDS_OF_GATE, kind_of
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.settings import DataSettings, Settings
from cd4ml.store.settings import read_settings, settings_from

MANUAL = "docs/reference/settings.md of the manual lists every key"
PROJECT = '[project]\nname = "flight-delays"\n'


def read(folder: Path, text: str | bytes) -> Settings:
    file = folder / "cd4ml.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(file)


def refusal(folder: Path, text: str | bytes) -> tuple[str, str]:
    """The message without the file's path, and the hint."""
    with pytest.raises(ConfigurationError) as refused:
        read(folder, text)
    path = f"{folder / 'cd4ml.toml'}"
    assert refused.value.message.startswith(path)
    return refused.value.message.removeprefix(path).removeprefix(": "), refused.value.hint


def test_three_lines_are_a_project(tmp_path: Path) -> None:
    settings = read(tmp_path, PROJECT + '[data.flights]\npath = "data/flights.csv"\n')

    assert settings.project.name == "flight-delays"
    assert settings.data == {"flights": DataSettings(path="data/flights.csv")}
    assert settings.store.database == "sqlite:///.cd4ml/cd4ml.db"


def test_every_table_is_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        PROJECT
        + """
        pipeline = "flights.pipeline"
        [data.labelled]
        source = "production"
        [model]
        target = "late"
        slices = ["carrier", "origin"]
        [[gate]]
        metric = "auc"
        at_least = 0.58
        no_worse_than = { champion = 0.005 }
        [environments.staging]
        [environments."eu.production"]
        approvals = 1
        roles = ["release-manager"]
        rollout = [{ mode = "canary", weight_percent = 5, predictions = 100 }, { mode = "full" }]
        [monitoring]
        window = "month"
        environment = "eu.production"
        [retrain]
        when = ["drift"]
        environment = "eu.production"
        """,
    )

    assert list(settings.environments) == ["staging", "eu.production"]
    assert settings.gate == (
        MetricGate(metric="auc", at_least=0.58, no_worse_than={"champion": 0.005}),
    )
    assert settings.environments["eu.production"].rollout[0].weight_percent == 5.0


def test_a_gate_that_says_no_kind_is_one_on_a_metric(tmp_path: Path) -> None:
    gate = 'metric = "auc"\nat_least = 0.58\n'

    said = read(tmp_path, f'{PROJECT}[[gate]]\nkind = "metric"\n{gate}')
    unsaid = read(tmp_path, f"{PROJECT}[[gate]]\n{gate}")

    assert said.gate == unsaid.gate == (MetricGate(metric="auc", at_least=0.58),)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + PROJECT.encode()).project.name == "flight-delays"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "object missing required field `project`", MANUAL),
        ("[project]", "object missing required field `name` - at `project`", MANUAL),
        ("[project]\nname = 3", "expected `str`, got `int` - at `project.name`", MANUAL),
        (
            "[project\n",
            "expected ']' at the end of a table declaration (at line 1, column 9)",
            MANUAL,
        ),
        (
            PROJECT + "[[gate]]\nkind = 'metrik'\nmetric = 'auc'",
            "invalid value 'metrik' - at `gate[0].kind`",
            f"the kinds of gate are {', '.join(sorted(map(kind_of, KINDS_OF_GATE)))}",
        ),
        (
            PROJECT
            + "[[gate]]\nkind = 'fairness'\nmetric = 'recall'\ngroups = ['sex']\nby = 'sex'",
            "expected one of interval, value, got 'sex' - at `gate[0].by`",
            MANUAL,
        ),
        (
            PROJECT + "[[gate]]\nkind = 'fairness'\nmetric = 'recall'\ngroups = [3]",
            "expected `str | array`, got `int` - at `gate[0].groups[0]`",
            MANUAL,
        ),
        ("gate = 3\n" + PROJECT, "expected `array`, got `int` - at `gate`", MANUAL),
        ("gate = [3]\n" + PROJECT, "expected `object`, got `int` - at `gate[0]`", MANUAL),
        (
            PROJECT + "[[gate]]\nmetric = 'auc'\nat_last = 0.5",
            "object contains unknown field `at_last` - at `gate[0]`",
            f"did you mean `at_least`? {MANUAL}",
        ),
        (
            PROJECT + "[enviroments.staging]",
            "object contains unknown field `enviroments`",
            f"did you mean `environments`? {MANUAL}",
        ),
        (PROJECT + "[zebra]", "object contains unknown field `zebra`", MANUAL),
        (
            PROJECT + "[[gate]]\nmetric = 'auc'\nat_least = 'high'",
            "expected `float | null`, got `str` - at `gate[0].at_least`",
            MANUAL,
        ),
        (
            PROJECT + "[data.flights]\nsource = 'moon'",
            "expected one of delta, files, http, production, pushed, sql, got 'moon'"
            " - at `data.flights.source`",
            MANUAL,
        ),
        (
            PROJECT + "[data.flights]\npath = 'x'\nstore = 'link'",
            "expected one of copy, hardlink, reference, got 'link' - at `data.flights.store`",
            MANUAL,
        ),
        (
            PROJECT + "[environments.live]\nrollout = [{ mode = 'full' }, { mode = 'half' }]",
            "expected one of canary, full, shadow, got 'half' - at `environments.live.rollout[1].mode`",
            MANUAL,
        ),
        (
            PROJECT + "[data.flights]\nsource = 'sql'\nevery = 'year'",
            "expected one of day, hour, week, got 'year' - at `data.flights.every`",
            MANUAL,
        ),
        (
            PROJECT + "[environments.staging]\n[environments.live]\napprovals = 'two'",
            "expected `int` or a table, got `str` - at `environments.live.approvals`",
            MANUAL,
        ),
        (
            PROJECT.encode() + b"description = 'caf\xe9'",
            "expected UTF-8 text, got the byte 0xe9 (at line 3)",
            "save the file as UTF-8",
        ),
        (
            b"\x00\xff",
            "expected UTF-8 text, got the byte 0xff (at line 1)",
            "save the file as UTF-8",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place_and_a_remedy(
    tmp_path: Path, text: str | bytes, message: str, hint: str
) -> None:
    assert refusal(tmp_path, text) == (message, hint)


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings(tmp_path / "cd4ml.toml")

    assert str(refused.value) == (
        f"{tmp_path}/cd4ml.toml cannot be read: No such file or directory\n"
        "  hint: may this user read it?"
    )


IMPOSSIBLE = {
    PROJECT + "[run]\nworkers = -1": "expected 0 or more, got -1 - at `run.workers`",
    PROJECT + '[run]\nray = "auto"': (
        "steps are computed by 'processes', not on the cluster 'auto' - at `run.ray`"
    ),
    PROJECT + "[prices]\ncpu_hour = -0.1": "expected 0 or more, got -0.1 - at `prices.cpu_hour`",
    PROJECT + "[prices]\ngpu_hour = nan": "expected 0 or more, got nan - at `prices.gpu_hour`",
    '[project]\nname = ""': "expected a name of 1 to 100 printable characters, got '' - at `project.name`",
    '[project]\nname = " x"': "expected a name of 1 to 100 printable characters, got ' x' - at `project.name`",
    PROJECT + 'pipeline = "pipeline.py"': (
        "expected the name of a Python module, got 'pipeline.py' - at `project.pipeline`"
    ),
    PROJECT + 'pipeline = "../other"': (
        "expected the name of a Python module, got '../other' - at `project.pipeline`"
    ),
    PROJECT + '[rehearsal]\nworld = "my world"': (
        "expected the name of a Python module, got 'my world' - at `rehearsal.world`"
    ),
    PROJECT + '[data."flights 2013"]\npath = "x.csv"': (
        "expected letters, digits and '_' in a dataset's name, got 'flights 2013'"
        " - at `data.flights 2013`"
    ),
    PROJECT + '[data.class]\npath = "x.csv"': (
        "expected letters, digits and '_' in a dataset's name, got 'class' - at `data.class`"
    ),
    PROJECT + '[data.x]\nsource = "sql"\nquery = "SELECT 1"': (
        'rows of source = "sql" need `connection` - at `data.x`'
    ),
    PROJECT + '[data.x]\nsource = "delta"': 'rows of source = "delta" need `path` - at `data.x`',
    PROJECT + '[data.x]\nsource = "http"\nevery = "day"': (
        'rows of source = "http" need `url` - at `data.x`'
    ),
    PROJECT + '[data.x]\nsource = "pushed"\nevery = "day"': (
        'rows of source = "pushed" have no `every` - at `data.x.every`'
    ),
    PROJECT + '[data.x]\npath = "x.csv"\nurl = "https://x"': (
        'rows of source = "files" have no `url` - at `data.x.url`'
    ),
    PROJECT + '[data.x]\nsource = "delta"\npath = "x"\nheaders = { a = "b" }': (
        'rows of source = "delta" have no `headers` - at `data.x.headers`'
    ),
    PROJECT + '[data.x]\nsource = "delta"\npath = "x"\nversion = -1': (
        "expected 0 or more, got -1 - at `data.x.version`"
    ),
    PROJECT + '[data.x]\nsource = "http"\nurl = "https://x"\nat_most_mb = 0': (
        "expected 1 or more, got 0 - at `data.x.at_most_mb`"
    ),
    PROJECT + "[environments.production]\napprovals = {}": (
        "expected how many approvals of which role, got none"
        " - at `environments.production.approvals`"
    ),
    PROJECT + "[data.x]\nwatch = true": "there is no `path` to watch - at `data.x.watch`",
    PROJECT + '[data.labelled]\npath = "x.csv"\nsource = "production"': (
        "rows come from files or from production, not both, got path 'x.csv' - at `data.labelled`"
    ),
    PROJECT + '[data.a]\npath = "x.csv"\non_violation = "quarantine"': (
        "there is no contract that rows could break - at `data.a.on_violation`"
    ),
    PROJECT + "[data.a]\n[data.a_quarantine]": (
        "rows of 'a' that break its contract are kept there - at `data.a_quarantine`"
    ),
    PROJECT + '[data.a]\ncontract = "a.toml"\non_violation = "quarantine"\n[data.a_quarantine]': (
        "rows of 'a' that break its contract are kept there - at `data.a_quarantine`"
    ),
    PROJECT + '[model]\ntarget = ""': "expected a name, got '' - at `model.target`",
    PROJECT + '[model]\ntraining = "rows"\nholdout = "rows"': (
        "'rows' cannot both teach a model and judge it - at `model.holdout`"
    ),
    PROJECT + '[model]\ntarget = "event_at"': (
        "'event_at' is what is to be predicted - at `model.event_time`"
    ),
    PROJECT + '[model]\ntarget = "late"\nslices = ["origin", "late"]': (
        "'late' is what is to be predicted - at `model.slices`"
    ),
    PROJECT + '[model]\nslices = ["origin", "origin"]': (
        "a column stands twice in ['origin', 'origin'] - at `model.slices`"
    ),
    PROJECT + '[environments."../production"]': (
        "expected letters, digits, '.', '_' and '-' in its name, got '../production'"
        " - at `environments.../production`"
    ),
    PROJECT + '[environments.""]': (
        "expected letters, digits, '.', '_' and '-' in its name, got '' - at `environments.`"
    ),
    PROJECT + "[monitoring]\nmatures_after_hours = -1": (
        "expected 0 to 878,400 hours, got -1 - at `monitoring.matures_after_hours`"
    ),
    PROJECT + "[monitoring]\nmatures_after_hours = 99999999999999": (
        "expected 0 to 878,400 hours, got 99,999,999,999,999 - at `monitoring.matures_after_hours`"
    ),
    PROJECT + "[monitoring]\ndrift = 0": "expected a PSI above 0, got 0.0 - at `monitoring.drift`",
    PROJECT
    + "[monitoring]\ndrift = nan": "expected a PSI above 0, got nan - at `monitoring.drift`",
    PROJECT
    + "[monitoring]\ndrift = inf": "expected a PSI above 0, got inf - at `monitoring.drift`",
    PROJECT + '[monitoring]\nmetrics = ["auc", "auc"]': (
        "a metric stands twice in ['auc', 'auc'] - at `monitoring.metrics`"
    ),
    PROJECT + '[monitoring]\nenvironment = "live"': (
        "there is no environment 'live' - at `monitoring.environment`"
    ),
    PROJECT + '[environments.staging]\n[retrain]\nenvironment = "live"': (
        "there is no environment 'live' - at `retrain.environment`"
    ),
    PROJECT + '[retrain]\nwhen = ["drift"]': (
        'there is no [data.labelled] with source = "production" - at `retrain.dataset`'
    ),
    PROJECT + '[data.rows]\npath = "x.csv"\n[retrain]\nwhen = ["window"]\ndataset = "rows"': (
        'there is no [data.rows] with source = "production" - at `retrain.dataset`'
    ),
    PROJECT + '[data.rows]\nsource = "pushed"\ncontract = "a:B"\non_violation = "quarantine"': (
        'rows of source = "pushed" are not set aside: a batch with rows that break the contract is'
        " refused whole, and its sender is told - at `data.rows.on_violation`"
    ),
    PROJECT + '[data.x]\nsource = "production"\ncontract = "a:B"\non_violation = "quarantine"': (
        'rows of source = "production" are not set aside: they are taken in as they'
        " were answered - at `data.x.on_violation`"
    ),
}


@pytest.mark.parametrize(("text", "message"), IMPOSSIBLE.items(), ids=IMPOSSIBLE.values())
def test_what_no_project_can_mean_is_refused(tmp_path: Path, text: str, message: str) -> None:
    told, hint = refusal(tmp_path, text)

    assert told == message
    assert hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("flights.py", "without .py: flights"),
        ("../etc", "for example pipeline, or flights.pipeline"),
        ("../etc.py", "for example pipeline, or flights.pipeline"),
    ],
)
def test_a_module_is_named_as_python_names_it(tmp_path: Path, name: str, hint: str) -> None:
    told, hinted = refusal(tmp_path, PROJECT + f'pipeline = "{name}"')

    assert told == f"expected the name of a Python module, got '{name}' - at `project.pipeline`"
    assert hinted == hint


def test_the_hint_says_which_environments_there_are(tmp_path: Path) -> None:
    text = (
        PROJECT + '[environments.staging]\n[environments.live]\n[monitoring]\nenvironment = "lvie"'
    )

    assert refusal(tmp_path, text)[1] == "known: staging, live"
    nothing = PROJECT + '[monitoring]\nenvironment = "live"'
    assert refusal(tmp_path, nothing)[1] == "known: none: add [environments.live]"


def test_a_project_without_a_production_yet_need_not_say_so(tmp_path: Path) -> None:
    assert read(tmp_path, PROJECT + "[environments.staging]").monitoring.environment == "production"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "fresh_within_hours = 0",
            "expected more than 0 hours, got 0.0 - at `data.flights.fresh_within_hours`",
            "leave it out if it never ages",
        ),
        (
            "fresh_within_hours = inf",
            "expected more than 0 hours, got inf - at `data.flights.fresh_within_hours`",
            "leave it out if it never ages",
        ),
        ('readers = [""]', "expected names, got '' - at `data.flights.readers`", MANUAL),
        ('personal = ["a", ""]', "expected names, got '' - at `data.flights.personal`", MANUAL),
    ],
)
def test_what_the_catalog_could_not_mean_is_refused(
    tmp_path: Path, line: str, message: str, hint: str
) -> None:
    text = f'{PROJECT}[data.flights]\npath = "x.csv"\n{line}\n'

    assert refusal(tmp_path, text) == (message, hint)


def test_where_lineage_is_told_is_read(tmp_path: Path) -> None:
    settings = read(tmp_path, f'{PROJECT}[lineage]\nopenlineage = "file:events.ndjson"\n')

    assert settings.lineage.openlineage == "file:events.ndjson"
    assert read(tmp_path, PROJECT).lineage.openlineage == ""


@pytest.mark.parametrize("url", ["http://ann:SECRET@db.example/x", "https://SECRET@db.example"])
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    told = refusal(tmp_path, PROJECT + f'[data.x]\nsource = "http"\nurl = "{url}"')

    assert told == (
        "expected an address without user and password - at `data.x.url`",
        'headers = { Authorization = "Basic env:NAME" }, and base64 of USER:PASSWORD in NAME',
    )


def test_an_address_may_have_an_at_sign_in_its_path(tmp_path: Path) -> None:
    text = PROJECT + '[data.x]\nsource = "http"\nurl = "https://db.example/@ann/x.csv"'

    assert read(tmp_path, text).data["x"].url == "https://db.example/@ann/x.csv"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("drain_s = -1", "expected 0 to 3,600 seconds, got -1 - at `serving.drain_s`"),
        ("notice_s = inf", "expected 0 to 3,600 seconds, got inf - at `serving.notice_s`"),
        (
            'traces = "collector:4318"',
            "expected the URL of a collector, got 'collector:4318' - at `serving.traces`",
        ),
    ],
)
def test_serving_that_cannot_be_meant_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(f'[project]\nname = "flights"\n[serving]\n{line}\n', Path("cd4ml.toml"))

    assert str(refused.value).splitlines()[0] == f"cd4ml.toml: {reason}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sync_every_ms = -1", "expected 0 to 1,000,000, got -1 - at `capture.sync_every_ms`"),
        ("slow_after_s = inf", "expected 0.1 to 1,000,000, got inf - at `capture.slow_after_s`"),
        ("sample = 0.0", "expected more than 0 and at most 1, got 0.0 - at `capture.sample`"),
        ('hash = [""]', "expected names of fields, got '' - at `capture.hash`"),
        (
            'redact = ["age"]\nhash = ["age"]',
            "'age' is redacted, so there is nothing to hash - at `capture.hash`",
        ),
        (
            'redact = ["cd4ml-key"]',
            "nobody's rows are found by 'cd4ml-key', which is not recorded - at `capture.person`",
        ),
    ],
)
def test_capture_that_cannot_be_meant_is_refused(line: str, reason: str) -> None:
    text = f'[project]\nname = "flights"\n[capture]\n{line}\n'

    with pytest.raises(ConfigurationError) as refused:
        settings_from(text, Path("cd4ml.toml"))

    assert str(refused.value).splitlines()[0] == f"cd4ml.toml: {reason}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("min = 0", "expected 1 to 10,000, got 0 - at `replicas.min`"),
        ("min = 5", "expected 5 (`min`) to 10,000, got 4 - at `replicas.max`"),
        (
            "requests = nan",
            "expected more than 0 and at most 10,000, got nan - at `replicas.requests`",
        ),
        ("add_after_s = -1.0", "expected 0 to 86,400, got -1.0 - at `replicas.add_after_s`"),
        ("cpus = 0.0", "expected a number above 0, got 0.0 - at `replicas.cpus`"),
        (
            'memory = "much"',
            "expected bytes, or text such as \"4GB\", got 'much' - at `replicas.memory`",
        ),
    ],
)
def test_replicas_that_cannot_be_are_refused(line: str, reason: str) -> None:
    text = f'[project]\nname = "flights"\n[replicas]\n{line}\n'

    with pytest.raises(ConfigurationError) as refused:
        settings_from(text, Path("cd4ml.toml"))

    assert str(refused.value).splitlines()[0] == f"cd4ml.toml: {reason}"
