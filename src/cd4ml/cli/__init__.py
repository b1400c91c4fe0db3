"""The command line: parse what was typed, call the loop, print what it returns.

`entry` runs a command and turns errors into exit codes, `words` builds the
parser, `screen` prints, and `commands/` has one file a group of commands. Nothing
heavy is imported before a command runs.
"""

from cd4ml.cli.entry import main

__all__ = ["main"]
