"""Where a card's weights are, what a download would cost, and the download itself; no torch."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import importlib.util
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlsplit

from .. import settings
from ..types import Cancelled, XaiError
from . import torchvision_facts
from .cards import Card, WeightsFile

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a download without any progress is tried before it fails."""
TIMEOUT = 20.0
"""Seconds without a byte after which a connection counts as interrupted."""
CHUNK = 1 << 18


@dataclass(frozen=True)
class Source:
    """Where a card's weights come from: the file's name, the places to look, and the address to download from."""

    file: str
    places: tuple[Path, ...]
    url: str
    size: int
    sha256: str
    """The whole hash, or the prefix that torchvision puts into the file's name."""
    target: Path
    """The one of the places that a download is saved at."""


@dataclass(frozen=True)
class Status:
    """Whether a model can be used: `ready`, `download` (of `size` bytes), or `missing`; `sentence` is for people."""

    state: Literal["ready", "download", "missing"]
    path: Path | None
    size: int
    sentence: str


def source(card: Card) -> Source:
    """Where this card's weights come from; raises `XaiError` when the card names what does not exist."""
    if isinstance(card.weights, WeightsFile):
        return _file_source(card, card.weights)
    family, _, architecture = card.architecture.partition("/")
    if family != "torchvision":
        raise XaiError(
            f"The model card {card.name!r} names torchvision's weights {card.weights!r} for {card.architecture}; "
            "give a weights file instead."
        )
    facts = torchvision_facts.checkpoint(architecture, card.weights)
    mirror = settings.current().weights_mirror
    url = f"{mirror.rstrip('/')}/{facts.file}" if mirror else facts.url
    places = (settings.current().weights_dir / facts.file, torch_home() / "hub" / "checkpoints" / facts.file)
    return Source(facts.file, places, url, facts.size, facts.hash_prefix, target=places[0])


def _file_source(card: Card, weights: WeightsFile) -> Source:
    folder = card.folder
    if weights.package:
        try:
            spec = importlib.util.find_spec(weights.package)
        except (ImportError, ValueError):  # a part of a package that is not there, or no name at all
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise XaiError(f"The weights of {card.title} come with the package {weights.package}; install it.")
        folder = Path(next(iter(spec.submodule_search_locations)))
    places = [folder / weights.file]
    if weights.url:  # many files are called model.safetensors
        places.append(settings.current().weights_dir / f"{card.name}-{Path(weights.file).name}")
    return Source(Path(weights.file).name, tuple(places), weights.url, weights.size, weights.sha256, target=places[-1])


def torch_home() -> Path:
    """Where torch keeps its downloads, by torch's own rule."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()


def status(card: Card) -> Status:
    """What a model picker shows."""
    try:
        where = source(card)
    except XaiError as error:
        return Status("missing", None, 0, str(error))
    for place in where.places:
        if place.is_file():
            return Status("ready", place, place.stat().st_size, "ready")
    if where.url:
        size = f"{where.size / settings.MEGABYTE:.0f} MB" if where.size else "of unknown size"
        return Status("download", None, where.size, f"needs a download, {size}")
    return Status("missing", None, 0, f"The weights file {where.places[0]} of {card.title} is missing; put it there.")


def located(card: Card) -> Path:
    """The weights file; raises `XaiError` when it is not on this machine."""
    found = status(card)
    if found.path is None:
        if found.state == "missing":
            raise XaiError(found.sentence)
        raise XaiError(
            f"{card.title} {found.sentence}: fetch it with python -m xai_core weights fetch {card.name}, "
            "or by its download button."
        )
    return found.path


def digest(card: Card) -> str:
    """SHA-256 of the weights file; remembered by path, size and time of change, across processes."""
    path = located(card)
    facts = path.stat()
    return _file_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, changed: int) -> str:
    memory = settings.current().cache_dir / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"
    stamp = [str(path), size, changed]
    try:
        remembered = json.loads(memory.read_text())
        if remembered["stamp"] == stamp:
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with path.open("rb") as file:
        result = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):  # a read-only data folder only costs the next process a second
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        draft.write_text(json.dumps({"stamp": stamp, "sha256": result}))
        draft.replace(memory)
    return result


def verify(card: Card) -> None:
    """Checks the hash that the card states, if it states one; raises `XaiError` when the file differs."""
    if isinstance(card.weights, WeightsFile) and card.weights.sha256 and digest(card) != card.weights.sha256:
        raise XaiError(
            f"The weights file {located(card)} is not the one that the card of {card.title} names (its SHA-256 "
            "differs); remove it and get it again."
        )


Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all (0 if unknown); may raise `Cancelled`."""


def fetch(card: Card, progress: Progress = lambda done, total: None) -> Path:
    """Downloads a card's weights unless they are here, and returns the file.

    The file grows under a temporary name, an interrupted connection is taken up where it broke off, the hash is
    checked at the end and only then the file gets its name. Raises `XaiError` with a sentence when the download
    fails; a partial file stays for the next try unless its hash is wrong.
    """
    found = status(card)
    if found.path is not None:
        return found.path
    if found.state == "missing":
        raise XaiError(found.sentence)
    where = source(card)
    folder = where.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(_beside(where.target, ".lock"), card):
            if where.target.is_file():  # another process has just finished
                return where.target
            part = _beside(where.target, ".part")
            _download(where, part, card, progress)
            _check(where, part, card)
            part.replace(where.target)
    except OSError as error:
        raise XaiError(f"{card.title} could not be saved in {folder}: {error.strerror or error}.") from None
    return where.target


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(target.name + suffix)


@contextlib.contextmanager
def _only_one(lock: Path, card: Card) -> Iterator[None]:
    """Holds a lock file, so that two processes never write the same download."""
    while True:
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise XaiError(
                    f"{card.title} is being downloaded by another process; wait until it is there."
                ) from None
            if not _is_at(file, lock):  # whoever held it removed it before it became ours
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _download(where: Source, part: Path, card: Card, progress: Progress) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _transfer(where, part, progress):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404, 410):
                raise XaiError(_failed(card, where, f"the server answered {error.code} {error.reason}")) from None
            reason = f"the server answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            reason = str(getattr(error.reason, "strerror", None) or error.reason)
        except _NoAddress:
            raise XaiError(_failed(card, where, "this is no web address")) from None
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
        grown = (part.stat().st_size if part.exists() else 0) > before
        failures = 0 if grown else failures + 1
        log.info("download of %s interrupted: %s", where.url, reason)
        if failures >= ATTEMPTS:
            raise XaiError(_failed(card, where, reason))
        time.sleep(min(0.2 * 2**failures, 5.0))


def _failed(card: Card, where: Source, reason: str) -> str:
    host = urlsplit(where.url).netloc or where.url
    return (
        f"{card.title} could not be downloaded from {host} ({reason}); check the connection and try again, "
        f"or put {where.file} into {where.places[0].parent}."
    )


class _NoAddress(Exception):
    """Raised when an address is none that can be asked."""


def _transfer(where: Source, part: Path, progress: Progress) -> bool:
    """One connection's worth of the file; True when all of it is there."""
    have = part.stat().st_size if part.exists() else 0
    try:
        request = urllib.request.Request(where.url, headers={"Range": f"bytes={have}-"} if have else {})
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except (ValueError, http.client.InvalidURL) as error:
        raise _NoAddress from error
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send, or the partial file is from something else
            total = int((error.headers.get("Content-Range") or "*/0").rpartition("/")[2] or 0)
            if have == total:
                return True
            part.unlink()
            return False
        raise
    except urllib.error.URLError:
        raise
    except OSError as error:
        raise _interrupted(error) from error
    with response:
        if have and response.status != 206:
            have = 0
        length = int(response.headers.get("Content-Length") or 0)
        total = have + length if length else where.size
        with part.open("ab" if have else "wb") as file:
            for block in _blocks(response):
                file.write(block)
                have += len(block)
                progress(have, total)
        return not length or have >= total


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read(CHUNK):
            yield block
    except OSError as error:
        raise _interrupted(error) from error


def _interrupted(error: OSError) -> ConnectionError:
    """The error as one of the network: an `OSError` that is left as it is counts as one of the disk."""
    return ConnectionError(error.strerror or str(error))


def _check(where: Source, part: Path, card: Card) -> None:
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if not actual.startswith(where.sha256):
        part.unlink()
        raise XaiError(
            f"The download of {card.title} arrived damaged (its SHA-256 is not the published one) and was removed; "
            "try again."
        )


class Download:
    """A download on a thread of its own, for a page that polls it."""

    def __init__(self, card: Card):
        self.card = card
        where = source(card)
        part = _beside(where.target, ".part")
        self.done = self._had = part.stat().st_size if part.is_file() else 0
        self.total = where.size
        self.error = ""
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"download-{card.name}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def seconds_left(self) -> float | None:
        """An estimate, or None before anything arrived."""
        arrived = self.done - self._had
        if arrived <= 0 or not self.total:
            return None
        return (time.monotonic() - self._started) / arrived * max(self.total - self.done, 0)

    def cancel(self) -> None:
        """Asks the download to stop; what has arrived stays for the next try."""
        self._stop.set()

    def _progress(self, done: int, total: int) -> None:
        if done < self.done:  # the server started again from the beginning
            self._had = 0
        self.done, self.total = done, total or self.total
        if self._stop.is_set():
            raise Cancelled

    def _work(self) -> None:
        try:
            fetch(self.card, self._progress)
        except Cancelled:
            self.error = ""
        except XaiError as error:
            self.error = str(error)
        except Exception as error:  # a thread's error would be lost
            log.exception("the download of %s failed", self.card.name)
            self.error = f"The download of {self.card.title} failed unexpectedly ({error}); the log has the details."


class Downloads:
    """The downloads of one process: at most one per model, shared by all its sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Download] = {}

    def start(self, card: Card) -> Download:
        """Starts a download, or returns the one that is running."""
        with self._lock:
            current = self._by_name.get(card.name)
            if current is None or not current.running:
                current = self._by_name[card.name] = Download(card)
            return current

    def get(self, name: str) -> Download | None:
        """The last download of a model that was started here."""
        return self._by_name.get(name)
