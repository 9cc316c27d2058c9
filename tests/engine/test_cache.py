"""Results by key: bounded in bytes, shared by threads and processes, and never a damaged or half-written one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from xai_core.engine.cache import Cache
from xai_core.engine.packing import pack
from xai_core.types import Cost, SaliencyMap, digest_of

from ..conftest import ROOT

PLENTY = 10_000_000


def key(number: int) -> str:
    """A key as requests have them."""
    return digest_of(str(number))


def result(number: int, side: int = 16) -> SaliencyMap:
    """A map whose values are all `number`."""
    values = np.full((side, side), number, dtype=np.float32)
    return SaliencyMap(values, None, False, "sobel", {}, 0, 0, None, (), key(number), Cost(), 0.0, {})


SIZE = len(pack(result(1)))
"""Bytes of one result."""


def value(cache: Cache, number: int) -> int | None:
    """The value of the map under a key, or None."""
    found = cache.get(key(number))
    return None if found is None else int(found.values[0, 0])  # type: ignore[union-attr,index]


def files(folder: Path) -> list[Path]:
    """All files below the folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_result_that_was_put_is_found_and_another_is_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path, PLENTY, PLENTY)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    assert cache.get(key(2)) is None


def test_a_new_process_finds_what_another_has_put(tmp_path: Path) -> None:
    Cache(tmp_path, PLENTY, PLENTY).put(key(1), result(1))
    assert value(Cache(tmp_path, PLENTY, PLENTY), 1) == 1


def test_a_result_that_is_put_again_replaces_the_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, PLENTY, PLENTY)
    cache.put(key(1), result(7))
    cache.put(key(1), result(8))
    assert value(cache, 1) == 8
    assert value(Cache(tmp_path, PLENTY, PLENTY), 1) == 8
    assert len(files(tmp_path)) == 1


def test_memory_alone_works_without_a_disk(tmp_path: Path) -> None:
    cache = Cache(tmp_path, PLENTY, 0)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    assert files(tmp_path) == []


def test_the_disk_alone_works_without_memory(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 0, PLENTY)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    files(tmp_path)[0].unlink()
    assert cache.get(key(1)) is None


def test_what_another_process_has_written_is_remembered_without_writing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, PLENTY, PLENTY)
    cache.remember(key(1), result(1), SIZE)
    assert value(cache, 1) == 1
    assert files(tmp_path) == []


def test_memory_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 3 * SIZE, 0)
    for number in (1, 2, 3):
        cache.put(key(number), result(number))
    assert value(cache, 1) == 1  # used: now 2 is the oldest
    cache.put(key(4), result(4))
    assert [value(cache, number) for number in (1, 2, 3, 4)] == [1, None, 3, 4]


def test_putting_the_same_result_again_takes_no_more_memory(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 2 * SIZE, 0)
    cache.put(key(1), result(1))
    for _ in range(5):
        cache.put(key(2), result(2))
    assert [value(cache, number) for number in (1, 2)] == [1, 2]


def test_memory_is_bounded_by_bytes_and_not_by_number(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 4 * SIZE, 0)
    for number in (1, 2, 3):
        cache.put(key(number), result(number))
    cache.put(key(4), result(4, side=28))  # about three times the bytes
    assert [value(cache, number) for number in (1, 2, 3, 4)] == [None, None, 3, 4]


def test_a_result_larger_than_the_memory_is_not_kept_there_but_on_disk(tmp_path: Path) -> None:
    cache = Cache(tmp_path, SIZE - 1, PLENTY)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    files(tmp_path)[0].unlink()
    assert cache.get(key(1)) is None


def test_the_disk_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    limit = 20 * SIZE
    cache = Cache(tmp_path, 0, limit)
    for number in range(60):
        cache.put(key(number), result(number))
        path = next(tmp_path.glob(f"results/*/{key(number)}"))
        os.utime(path, (1000 + number, 1000 + number))  # file times are too coarse for a fast test
    assert sum(path.stat().st_size for path in files(tmp_path)) <= limit * 1.05 + SIZE
    assert [value(cache, number) for number in (0, 1, 30)] == [None, None, None]
    assert [value(cache, number) for number in (57, 58, 59)] == [57, 58, 59]


def test_reading_a_file_makes_it_the_last_used(tmp_path: Path) -> None:
    limit = 20 * SIZE
    cache = Cache(tmp_path, 0, limit)
    for number in range(18):
        cache.put(key(number), result(number))
        os.utime(next(tmp_path.glob(f"results/*/{key(number)}")), (1000 + number, 1000 + number))
    assert value(cache, 0) == 0
    for number in range(18, 30):
        cache.put(key(number), result(number))
    assert value(cache, 0) == 0
    assert cache.get(key(1)) is None


def test_many_short_processes_stay_within_the_disk_limit_too(tmp_path: Path) -> None:
    limit = 100 * SIZE  # each of them writes less than the twentieth after which a long one looks
    for number in range(130):
        Cache(tmp_path, 0, limit).put(key(number), result(number))
    assert sum(path.stat().st_size for path in files(tmp_path)) <= limit + 5 * SIZE


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_file_counts_as_absent_and_is_removed(tmp_path: Path, damage: str) -> None:
    Cache(tmp_path, 0, PLENTY).put(key(1), result(1))
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(
        {"cut": path.read_bytes()[:-3], "flipped": bytes(data), "empty": b"", "foreign": b"x" * 99}[damage]
    )
    cache = Cache(tmp_path, PLENTY, PLENTY)
    assert cache.get(key(1)) is None
    assert files(tmp_path) == []
    cache.put(key(1), result(1))
    assert value(Cache(tmp_path, 0, PLENTY), 1) == 1


def test_a_draft_that_a_dead_process_left_is_never_a_result(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 0, PLENTY)
    folder = tmp_path / "results" / key(1)[:2]
    folder.mkdir(parents=True)
    draft = folder / f"{key(1)}.123.456.part"
    draft.write_bytes(pack(result(1))[:50])
    assert cache.get(key(1)) is None
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1


def test_a_result_gets_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    write = Path.write_bytes

    def slow(path: Path, data: bytes) -> int:
        for part in (data[:10], data):
            write(path, part)
            seen.append([one.name for one in files(tmp_path)])
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", slow)
    Cache(tmp_path, 0, PLENTY).put(key(1), result(1))
    assert seen and all(name.endswith(".part") for names in seen for name in names)
    assert [path.name for path in files(tmp_path)] == [key(1)]


def test_a_full_disk_leaves_no_draft_and_costs_only_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    cache = Cache(tmp_path, PLENTY, PLENTY)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    assert files(tmp_path) == []


def test_a_file_in_place_of_the_folder_costs_only_speed(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    cache = Cache(tmp_path / "cache", PLENTY, PLENTY)
    cache.put(key(1), result(1))
    assert value(cache, 1) == 1
    assert value(cache, 2) is None


def test_a_read_only_folder_costs_only_speed(tmp_path: Path) -> None:
    Cache(tmp_path, 0, PLENTY).put(key(1), result(1))
    folders = [tmp_path / "results", *(tmp_path / "results").iterdir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        if os.access(tmp_path / "results", os.W_OK):
            pytest.skip("this user may write everywhere; a file in place of the folder is tested instead")
        cache = Cache(tmp_path, PLENTY, PLENTY)
        cache.put(key(2), result(2))
        assert [value(cache, number) for number in (1, 2)] == [1, 2]
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_damaged_file_that_cannot_be_removed_counts_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cache(tmp_path, 0, PLENTY).put(key(1), result(1))
    files(tmp_path)[0].write_bytes(b"damaged")

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    assert Cache(tmp_path, PLENTY, PLENTY).get(key(1)) is None


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 4 * SIZE, 12 * SIZE)  # small: dropping goes on all the time
    wrong: list[object] = []

    def work(start: int) -> None:
        try:
            for step in range(150):
                number = (start + step) % 20
                found = value(cache, number)
                if found is None:
                    cache.put(key(number), result(number))
                elif found != number:
                    wrong.append((number, found))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 20, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not list(tmp_path.rglob("*.part"))


def test_processes_share_a_folder(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from xai_core.engine.cache import Cache
from tests.engine.test_cache import SIZE, key, result, value
cache = Cache(Path(sys.argv[1]), 0, 12 * SIZE)
for step in range(400):
    number = step * int(sys.argv[2]) % 20
    found = value(cache, number)
    assert found in (None, number), (found, number)
    if found is None:
        cache.put(key(number), result(number))
print("well")
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), stride],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for stride in ("3", "7")
    ]
    ended = [worker.communicate(timeout=60) for worker in workers]
    assert [out for out, _ in ended] == ["well\n"] * 2, ended
    assert not any("damaged" in err for _, err in ended), ended
    assert not list(tmp_path.rglob("*.part"))


def test_the_limits_come_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "other"))
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "0")
    cache = Cache.from_settings()
    cache.put(key(1), result(1))
    assert not (tmp_path / "other").exists()
    monkeypatch.setenv("XAI_DISK_CACHE_MB", "1")
    Cache.from_settings().put(key(1), result(1))
    assert len(files(tmp_path / "other" / "cache")) == 1


def test_a_hit_in_memory_is_quick(tmp_path: Path) -> None:
    cache = Cache(tmp_path, PLENTY, PLENTY)
    cache.put(key(1), result(1, side=224))
    started = time.perf_counter()
    for _ in range(1000):
        cache.get(key(1))
    assert time.perf_counter() - started < 0.5  # it is a dictionary, not a file
