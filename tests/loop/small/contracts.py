"""What the tests' flights and requests look like."""

from cd4ml.records.contract import Contract, Field

FIELDS = (
    Field("carrier", "string", categories=("AA", "UA")),
    Field("distance", "number", minimum=0),
    Field("wind", "number", minimum=0),
)
Flights = Contract(
    name="flights",
    fields=(*FIELDS, Field("event_at", "datetime"), Field("late", "number", minimum=0, maximum=1)),
)
Request = Contract(name="request", fields=FIELDS)
