"""What a request to the model has to look like: neither race nor marital status is asked."""

from cd4ml import Contract, Field

Application = Contract(
    name="application",
    description="what an applicant for a mortgage tells",
    fields=(
        Field("debt_to_income", "number", minimum=0, maximum=10, description="payments to income"),
        Field("housing_to_income", "number", minimum=0, maximum=10, description="of these housing"),
        Field("loan_to_value", "number", minimum=0, maximum=5, description="loan to value"),
        Field("credit_score", "number", minimum=1, maximum=6, description="1 is good"),
        Field("mortgage_score", "number", minimum=1, maximum=4, description="1 is good"),
        Field("public_record", "integer", minimum=0, maximum=1, description="of bad credit"),
        Field("self_employed", "integer", minimum=0, maximum=1),
        Field(
            "unemployment",
            "number",
            minimum=0,
            maximum=100,
            unit="%",
            description="in the industry",
        ),
        Field("condominium", "integer", minimum=0, maximum=1),
    ),
    output=Field(
        "denied",
        "number",
        minimum=0,
        maximum=1,
        unit="probability",
        description="that the lender refuses; from 0.2 on the answer is no",
    ),
)
