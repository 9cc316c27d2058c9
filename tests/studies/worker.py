"""A study in a process of its own, which a test may kill: `python -m tests.studies.worker PICTURES OUT`."""

import sys
from pathlib import Path

from tests.studies.small import small
from xai_core.engine.inline import InlineEngine
from xai_core.studies import running
from xai_core.studies.plan import plan_of

running.FLUSH_SECONDS = 0.02  # so that there is something to lose
running.run(plan_of(small(sys.argv[1])), InlineEngine(), Path(sys.argv[2]))
