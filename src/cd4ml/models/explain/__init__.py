"""Why a model answers as it does.

`contributions` takes answers apart: exactly where the model is linear or made of trees, else by
sampling. `importance` says what the answers are worth without a field. `origins` knows which
fields of a request stand behind each column that a pipeline's own encoders make.
"""
