"""The console: pages rendered on the server, which refresh by themselves.

`console` has the routes, `render` the templates and what they can say, `chart` the
lines of the drawings. Nothing comes from another server, nothing is inline, and
every page works without JavaScript.
"""
