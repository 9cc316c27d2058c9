"""`python -m xai_core`: see `xai_core.cli`."""

import sys

from .cli import main

sys.exit(main())
