"""OpenLineage: runs told to whatever else keeps lineage in the company.

`events` says what happened in OpenLineage's words, `courier` brings it there.
"""
