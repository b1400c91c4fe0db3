"""What a served model has to do, whatever it is good for, and how it responds to each field.

`asking` is how a model is asked, in this process or over HTTP; `promises` puts to the test what every
model has to keep, `edges` makes the rows for that, `responses` measures what rules are about.
"""
