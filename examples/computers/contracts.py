"""What a request for a price has to look like.

Limits are what a computer of those years could have: far beyond them a price that is learned as
a logarithm would be no number any more.
"""

from cd4ml import Contract, Field

Offer = Contract(
    name="offer",
    fields=(
        Field("speed", "integer", minimum=1, maximum=500, unit="MHz"),
        Field("hd", "integer", minimum=1, maximum=20_000, unit="MB", description="hard disk"),
        Field("ram", "integer", minimum=1, maximum=512, unit="MB"),
        Field("screen", "integer", minimum=9, maximum=30, unit="in"),
        Field("cd", "integer", minimum=0, maximum=1, description="has a CD drive"),
        Field("multi", "integer", minimum=0, maximum=1, description="has speakers and sound card"),
        Field("premium", "integer", minimum=0, maximum=1, description="made by IBM or COMPAQ"),
        Field("ads", "integer", minimum=0, maximum=5_000, description="offers printed that month"),
        Field("month", "integer", minimum=1, maximum=120, description="1 is January 1993"),
    ),
    output=Field("price", "number", minimum=0, unit="US dollars"),
)
