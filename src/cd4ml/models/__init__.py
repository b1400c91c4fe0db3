"""What training, gates, serving and feedback all need of a model.

Its packaged form and how it is loaded by digest, the contract its requests keep,
which version answers which key, and the ids of its predictions.
"""
