"""`python -m cd4ml`, the same as the command `cd4ml`."""

from __future__ import annotations

import sys

from cd4ml.cli import main

sys.exit(main())
