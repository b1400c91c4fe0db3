"""What a request for a price has to look like.

Limits are what a house in a town can have: far beyond them a price that is learned as a logarithm
would be no number any more.
"""

from cd4ml import Contract, Field

House = Contract(
    name="house",
    fields=(
        Field("lotsize", "number", minimum=500, maximum=50_000, unit="square feet"),
        Field("bedrooms", "integer", minimum=0, maximum=20),
        Field("bathrooms", "integer", minimum=0, maximum=10),
        Field("storeys", "integer", minimum=1, maximum=5, description="without the basement"),
        Field("garage", "integer", minimum=0, maximum=10, description="places"),
        Field("driveway", "boolean"),
        Field("recreation", "boolean", description="has a recreational room"),
        Field("basement", "boolean", description="has a finished basement"),
        Field("gas", "boolean", description="heats water with gas"),
        Field("cooled", "boolean", description="has central air conditioning"),
        Field("preferred", "boolean", description="lies in the preferred neighbourhood"),
    ),
    output=Field("price", "number", minimum=0, unit="Canadian dollars"),
)
