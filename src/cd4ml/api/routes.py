"""Every address of the API, a subject after another in the order of the loop.

Each line of a subject's table calls one use-case and nothing else; use-cases are imported
when they are asked for, so that the console is up at once.
"""

from __future__ import annotations

from cd4ml.api.datasets import DATASETS
from cd4ml.api.delivery import DELIVERY
from cd4ml.api.endpoint import Endpoint
from cd4ml.api.ledger import LEDGER
from cd4ml.api.monitoring import MONITORING
from cd4ml.api.people import PEOPLE
from cd4ml.api.reasons import REASONS
from cd4ml.api.registry import MODELS
from cd4ml.api.releases import RELEASES
from cd4ml.api.runs import RUNS
from cd4ml.api.searches import SEARCHES
from cd4ml.api.verdicts import VERDICTS

ENDPOINTS: tuple[Endpoint, ...] = (
    *DATASETS,
    *RUNS,
    *MODELS,
    *SEARCHES,
    *VERDICTS,
    *RELEASES,
    *DELIVERY,
    *MONITORING,
    *REASONS,
    *LEDGER,
    *PEOPLE,
)
