"""How often a page asks for news: less often the more sessions wait, so that their asking never is the load."""

from __future__ import annotations

import threading
import time

SHORTEST = 0.3
"""Seconds between two questions of a session that waits alone."""
PER_SECOND = 15.0
"""How many questions all sessions together may ask in a second."""
GONE_SECONDS = 30.0
"""A session that has not started to wait for this long does not count any more."""


class Pace:
    """Counts the sessions that wait; safe for several threads."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def pause(self, session: str) -> float:
        """Notes that a session waits; returns the seconds until it should ask again."""
        now = time.monotonic()
        with self._lock:
            self._seen[session] = now
            self._seen = {name: seen for name, seen in self._seen.items() if now - seen < GONE_SECONDS}
            return max(SHORTEST, round(len(self._seen) / PER_SECOND, 1))
