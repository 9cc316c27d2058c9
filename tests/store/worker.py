"""What a further server process does in the tests: python -m tests.store.worker ANNOTATOR STROKES.

It registers a picture, saves strokes one by one on a draft of its own, and prints each number once it is acknowledged.
"""

from __future__ import annotations

import sys

from xai_core.store import drafts
from xai_core.store.pictures import register

from .strokes import a_picture, a_stroke


def main(annotator: str, strokes: int) -> None:
    picture = a_picture()
    print("ready", flush=True)
    sys.stdin.readline()  # so that several open the database at the same moment
    draft = drafts.open_draft(annotator, register(picture), "tab")
    print("draft", draft.id, flush=True)
    for number in range(draft.number + 1, draft.number + strokes + 1):
        print(drafts.add_strokes(draft.id, [a_stroke(number)]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
