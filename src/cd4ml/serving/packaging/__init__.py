"""A model version as something to install: a wheel, or a container's build context.

`embedded` is what goes along: modules that run without cd4ml.
"""
