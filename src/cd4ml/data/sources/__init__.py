"""Where rows come from besides the project's own files; one file a kind.

`sql`, `delta` and `http` bring what they find into a folder, from which a version is
made as of any files; `pushed` appends what came in a request; `watched` and `schedule`
say when to look.
"""
