"""Results by key: in memory, then as files; both bounded in bytes, least recently used first out."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import OrderedDict
from pathlib import Path

from .. import settings
from .packing import Result, pack, unpack

log = logging.getLogger(__name__)


class Cache:
    """A cache that several threads, and several processes on one folder, may share.

    A file is written under a temporary name and renamed, and verified when it is read: a damaged one is removed and
    counts as absent. A folder that cannot be written costs only the speed.
    """

    def __init__(self, folder: Path, memory_bytes: int, disk_bytes: int):
        self._folder = folder / "results"
        self._memory_limit, self._disk_limit = memory_bytes, disk_bytes
        self._memory: OrderedDict[str, tuple[Result, int]] = OrderedDict()
        self._memory_used = 0
        self._written = disk_bytes  # others may have filled the folder: the first write looks
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls) -> Cache:
        """The cache that the environment asks for."""
        now = settings.current()
        return cls(now.cache_dir, now.cache_mb * settings.MEGABYTE, now.disk_cache_mb * settings.MEGABYTE)

    def get(self, key: str) -> Result | None:
        """The result of this key, or None."""
        with self._lock:
            held = self._memory.get(key)
            if held is not None:
                self._memory.move_to_end(key)
                return held[0]
        data = self._read(key)
        if data is None:
            return None
        try:
            result = unpack(data)
        except (ValueError, KeyError, TypeError, EOFError) as error:
            log.warning("the cached result %s is damaged and is computed again: %s", key, error)
            _remove(self._path(key))
            return None
        self._remember(key, result, len(data))
        return result

    def put(self, key: str, result: Result, data: bytes | None = None) -> None:
        """Keeps a result; `data` is its packed form where it is at hand."""
        data = data if data is not None else pack(result)
        self._remember(key, result, len(data))
        if self._disk_limit:
            self._write(key, data)

    def remember(self, key: str, result: Result, size: int) -> None:
        """Keeps a result that another process has written in memory only."""
        self._remember(key, result, size)

    def _remember(self, key: str, result: Result, size: int) -> None:
        if size > self._memory_limit:
            return  # it would push out everything else
        with self._lock:
            known = self._memory.pop(key, None)
            self._memory_used += size - (known[1] if known else 0)
            self._memory[key] = (result, size)
            while self._memory_used > self._memory_limit and self._memory:
                _, (_, dropped) = self._memory.popitem(last=False)
                self._memory_used -= dropped

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        draft = path.with_name(f"{key}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(data)
            draft.replace(path)
        except OSError as error:
            log.warning("the result %s is not kept on disk: %s", key, error)
            _remove(draft)
            return
        self._written += len(data)
        if self._written > self._disk_limit // 20:
            self._written = 0
            self._evict()

    def _evict(self) -> None:
        """Removes the files that were not used for longest until nine tenths of the limit are left."""
        found = []
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        used = sum(size for _, size, _ in found)
        if used <= self._disk_limit:
            return
        for _, size, path in sorted(found):
            _remove(path)
            used -= size
            if used <= self._disk_limit * 0.9:
                return


def _remove(path: Path) -> None:
    """Removes a file if that is possible."""
    with contextlib.suppress(OSError):
        path.unlink()
