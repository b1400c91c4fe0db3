"""MLflow's words: what its clients send, what they expect, what its files and databases hold.

Nothing here imports MLflow. `messages` and `entities` are the shapes of its REST API,
`search_language` its filter strings, `faults` its error codes; `mlmodel` reads and writes its
model folders, `history` its databases.
"""
