"""What the files, and the requests to the model, have to look like.

Limits are physical, not usual: a value beyond them is a mistake of whoever sent it.
"""

from cd4ml import Contract, Field

AIRPORTS = ("EWR", "JFK", "LGA")
CARRIERS = (
    *("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL"),
    *("HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"),
)

CARRIER = Field(
    "carrier",
    "string",
    categories=CARRIERS,
    open=True,
    description="two-letter code of the airline; a new one is answered, and counted",
)
ORIGIN = Field("origin", "string", categories=AIRPORTS, description="airport of departure")
DEST = Field(
    "dest", "string", open=True, description="airport of arrival; every few weeks a new one appears"
)
HOUR = Field(
    "hour", "integer", minimum=0, maximum=23, unit="h", description="scheduled departure, local"
)
MINUTE = Field(
    "minute", "integer", minimum=0, maximum=59, unit="min", description="scheduled departure"
)
DISTANCE = Field(
    "distance", "number", minimum=1, maximum=12_500, unit="mi", description="between the airports"
)
HOUR_BEGIN = Field("time_hour", "datetime", description="the hour's beginning, UTC")
SEATS = Field(
    "seats", "integer", nullable=True, minimum=1, maximum=900, description="of the aircraft"
)

WEATHER = (
    Field("temp", "number", nullable=True, minimum=-80, maximum=135, unit="°F"),
    Field(
        "dewp",
        "number",
        nullable=True,
        minimum=-100,
        maximum=100,
        unit="°F",
        description="dew point",
    ),
    Field(
        "humid",
        "number",
        nullable=True,
        minimum=0,
        maximum=100,
        unit="%",
        description="relative humidity",
    ),
    Field(
        "wind_speed",
        "number",
        nullable=True,
        minimum=0,
        maximum=254,
        unit="mph",
        description="the strongest gust ever measured was 254 mph (Barrow Island, 1996)",
    ),
    Field(
        "precip",
        "number",
        nullable=True,
        minimum=0,
        maximum=16,
        unit="in",
        description="rain or melted snow in the hour",
    ),
    Field(
        "pressure",
        "number",
        nullable=True,
        minimum=850,
        maximum=1090,
        unit="hPa",
        description="at sea level; every ninth hour is missing",
    ),
    Field(
        "visib",
        "number",
        nullable=True,
        minimum=0,
        maximum=100,
        unit="mi",
        description="visibility",
    ),
)

Flights = Contract(
    name="flights",
    key=("time_hour", "carrier", "flight"),
    event_time="time_hour",
    minimum_rows=1000,
    description="scheduled departures from New York and what became of them",
    fields=(
        Field("year", "integer", minimum=1987, maximum=2100),
        Field("month", "integer", minimum=1, maximum=12),
        Field("day", "integer", minimum=1, maximum=31, description="of departure, local"),
        Field(
            "dep_time", "integer", nullable=True, minimum=1, maximum=2400, description="HHMM, local"
        ),
        Field("sched_dep_time", "integer", minimum=1, maximum=2400, description="HHMM, local"),
        Field("dep_delay", "integer", nullable=True, minimum=-600, maximum=4320, unit="min"),
        Field(
            "arr_time", "integer", nullable=True, minimum=1, maximum=2400, description="HHMM, local"
        ),
        Field(
            "sched_arr_time", "integer", minimum=1, maximum=2400, description="HHMM, local there"
        ),
        Field(
            "arr_delay",
            "integer",
            nullable=True,
            minimum=-600,
            maximum=4320,
            unit="min",
            description="null: cancelled, diverted, or still in the air",
        ),
        CARRIER,
        Field("flight", "integer", minimum=1, maximum=9999, description="its number"),
        Field("tailnum", "string", nullable=True, open=True, description="which aircraft"),
        ORIGIN,
        DEST,
        Field("air_time", "integer", nullable=True, minimum=1, maximum=1440, unit="min"),
        DISTANCE,
        HOUR,
        MINUTE,
        HOUR_BEGIN,
    ),
)

Weather = Contract(
    name="weather",
    key=("origin", "time_hour"),
    event_time="time_hour",
    description="the weather at each airport, hour by hour",
    fields=(ORIGIN, HOUR_BEGIN, *WEATHER),
)

Planes = Contract(
    name="planes",
    key=("tailnum",),
    description="the aircraft that fly from New York",
    fields=(
        Field("tailnum", "string", open=True),
        Field("plane_year", "integer", nullable=True, minimum=1930, maximum=2014),
        SEATS,
    ),
)

Journey = Contract(
    name="journey",
    description="what is known about a flight at its scheduled departure",
    fields=(
        CARRIER,
        ORIGIN,
        DEST,
        Field("day_of_week", "integer", minimum=1, maximum=7, description="Monday is 1, local"),
        HOUR,
        MINUTE,
        Field(
            "arrival_hour",
            "integer",
            minimum=0,
            maximum=24,
            unit="h",
            description="scheduled arrival, local there",
        ),
        DISTANCE,
        *WEATHER,
        Field(
            "plane_year",
            "integer",
            nullable=True,
            minimum=1930,
            maximum=2014,
            description="when the aircraft was built; unknown for every sixth",
        ),
        SEATS,
    ),
    output=Field(
        "late",
        "number",
        minimum=0,
        maximum=1,
        unit="probability",
        description="that it lands 15 minutes late or more",
    ),
)
