"""What MLflow's clients ask, done with our own runs, files and versions.

Each use-case takes the project and one message of `engines.mlflow.messages`, and returns one
of its `entities`. Runs of the pipeline are answered like those that a client began, but no
client changes what the pipeline recorded.
"""
