"""The control plane: the loop's use-cases over HTTP, in JSON, and the console beside them.

`control_plane` makes the application, `routes` lists what it answers, `bodies` what
it reads, and `guard` keeps other sites, and bodies without end, outside.
"""
