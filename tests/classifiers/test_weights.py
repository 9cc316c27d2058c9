"""Weights: where they are found, their digests, and downloads that break, resume, fail and are cancelled."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import random
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from xai_core.classifiers import torchvision_facts, weights
from xai_core.classifiers.cards import Card, cards, read_card
from xai_core.classifiers.torchvision_facts import Checkpoint
from xai_core.classifiers.weights import Download, Downloads, Status, fetch, located, status, torch_home, verify
from xai_core.types import Cancelled, XaiError

from .server import Server, serving

CONTENT = random.Random(0).randbytes(100_000)
RESNET_FILE = "resnet50-0676ba61.pth"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """The pauses that downloads made, none of which was really waited for."""
    return []


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    """Small blocks, few attempts, no pauses, and no proxy between us and the loopback."""
    monkeypatch.setattr(weights, "CHUNK", 4096)
    monkeypatch.setattr(weights, "ATTEMPTS", 3)
    monkeypatch.setattr(weights, "TIMEOUT", 5.0)
    monkeypatch.setattr(weights, "time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic))
    monkeypatch.setenv("no_proxy", "*")


def make_card(folder: Path, name: str = "mine", architecture: str = "tests.networks:tiny", **weights: Any) -> Card:
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "name": name,
        "title": name.capitalize(),
        "architecture": architecture,
        "weights": {"file": f"{name}.pth", **weights},
        "cam_layer": "stage2",
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(fields))
    return read_card(path)


@pytest.fixture
def card(tmp_path: Path, server: Server) -> Card:
    """A card whose weights the server has, with their right hash."""
    return make_card(tmp_path / "cards", url=f"{server.url}/mine.pth", size=len(CONTENT), sha256=sha256(CONTENT))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder that downloads go to."""
    return tmp_path / "data" / "weights"


def left_over(folder: Path) -> list[str]:
    """Names of the partial files and locks in a folder."""
    return sorted(path.name for path in folder.glob("*") if path.suffix in (".part", ".lock"))


def part_of(card: Card, kept: Path) -> Path:
    """The partial file that an interrupted download of the card left."""
    parts = list(kept.glob("*.part"))
    assert len(parts) == 1, f"{card.name} has the parts {parts}"
    return parts[0]


def leave_part(card: Card, content: bytes, kept: Path) -> Path:
    """A partial file as an interrupted download leaves it, with this content."""

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fetch(card, stop)
    part = part_of(card, kept)
    part.write_bytes(content)
    return part


def finished(download: Download) -> Download:
    """The download once its thread has ended."""
    give_up = time.monotonic() + 20
    while download.running:
        assert time.monotonic() < give_up, "the download does not end"
        threading.Event().wait(0.005)
    return download


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up, "it never happened"
        threading.Event().wait(0.005)


def sentence(card: Card) -> str:
    """What `fetch` says when it fails; one line that ends in a full stop."""
    with pytest.raises(XaiError) as caught:
        fetch(card)
    said = str(caught.value)
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", said), said
    return said


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Where weights are


def test_a_file_beside_its_card_is_ready(tmp_path: Path) -> None:
    card = make_card(tmp_path)
    (tmp_path / "mine.pth").write_bytes(b"abc")
    assert status(card) == Status("ready", tmp_path / "mine.pth", 3, "ready")
    assert located(card) == tmp_path / "mine.pth"


def test_a_file_in_a_folder_below_its_card_is_ready(tmp_path: Path) -> None:
    card = make_card(tmp_path, file="nets/mine.pth")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.pth").write_bytes(b"abc")
    assert located(card) == tmp_path / "nets" / "mine.pth"


def test_a_file_that_is_nowhere_is_missing_and_the_sentence_says_where_to_put_it(tmp_path: Path) -> None:
    card = make_card(tmp_path)
    found = status(card)
    assert (found.state, found.path, found.size) == ("missing", None, 0)
    assert found.sentence == f"The weights file {tmp_path / 'mine.pth'} of Mine is missing; put it there."
    with pytest.raises(XaiError, match=re.escape(found.sentence)):
        located(card)
    assert sentence(card) == found.sentence


def test_a_folder_in_the_place_of_the_file_is_not_ready(tmp_path: Path) -> None:
    card = make_card(tmp_path)
    (tmp_path / "mine.pth").mkdir()
    assert status(card).state == "missing"


def test_a_file_with_an_address_asks_for_a_download_of_its_size(card: Card) -> None:
    assert status(card) == Status("download", None, len(CONTENT), "needs a download, 0 MB")


def test_a_download_of_unknown_size_says_so(tmp_path: Path) -> None:
    card = make_card(tmp_path, url="http://127.0.0.1:9/mine.pth")
    assert status(card).sentence == "needs a download, of unknown size"


def test_what_is_not_downloaded_yet_says_how_to_get_it(card: Card) -> None:
    with pytest.raises(XaiError, match=r"^Mine needs a download, 0 MB: fetch it with .*weights fetch mine.*\.$"):
        located(card)


def test_torchvisions_checkpoints_ask_for_their_download() -> None:
    found = status(cards()["vgg16"])
    assert found.state == "download"
    assert found.sentence == "needs a download, 553 MB"
    assert abs(found.size - 553_433_881) < 1000


def test_the_wheel_with_efficientnets_weights_is_ready() -> None:
    found = status(cards()["efficientnet_lite0"])
    assert found.state == "ready"
    assert found.path is not None and found.path.name == "efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize(
    "package", ["not_installed_here", "not_installed_here.models", "yaml.not_there", "json.decoder"]
)
def test_weights_in_a_package_that_is_not_there_are_missing_with_a_sentence(tmp_path: Path, package: str) -> None:
    found = status(make_card(tmp_path, package=package))
    assert found.state == "missing"
    assert found.sentence == f"The weights of Mine come with the package {package}; install it."


def test_torchvisions_weights_for_another_librarys_network_are_missing_with_a_sentence(tmp_path: Path) -> None:
    card = make_card(tmp_path).model_copy(update={"architecture": "timm/resnet18", "weights": "IMAGENET1K_V1"})
    found = status(card)
    assert found.state == "missing"
    assert "give a weights file instead." in found.sentence


def test_unknown_torchvision_weights_are_missing_with_a_sentence(tmp_path: Path) -> None:
    card = make_card(tmp_path).model_copy(update={"architecture": "torchvision/resnet18", "weights": "LATEST"})
    assert status(card).state == "missing"
    assert "it has IMAGENET1K_V1." in status(card).sentence


ENVIRONMENTS: list[dict[str, str]] = [
    {"TORCH_HOME": "/somewhere/torch", "XDG_CACHE_HOME": "/elsewhere"},
    {"TORCH_HOME": "~/torch"},
    {"XDG_CACHE_HOME": "/elsewhere"},
    {"XDG_CACHE_HOME": "~/elsewhere"},
    {},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_torchs_cache_is_where_torch_has_it(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(torch_home() / "hub") == torch.hub.get_dir()


def test_what_torch_downloaded_before_is_ready(tmp_path: Path) -> None:
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / RESNET_FILE).write_bytes(b"abc")
    assert located(cards()["resnet50"]) == checkpoints / RESNET_FILE


def test_what_lies_in_the_data_folder_is_ready_and_comes_before_torchs_cache(tmp_path: Path, kept: Path) -> None:
    for folder in (kept, tmp_path / "torch" / "hub" / "checkpoints"):
        folder.mkdir(parents=True)
        (folder / RESNET_FILE).write_bytes(b"abc")
    assert located(cards()["resnet50"]) == kept / RESNET_FILE


# Digests


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose hash was computed."""
    names: list[str] = []
    compute = hashlib.file_digest

    def counted(file: io.BufferedReader, algorithm: str) -> Any:
        names.append(Path(file.name).name)
        return compute(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


@pytest.fixture
def local(tmp_path: Path) -> Card:
    """A card with a file beside it, whose hash it does not state."""
    card = make_card(tmp_path / "cards")
    (tmp_path / "cards" / "mine.pth").write_bytes(CONTENT)
    return card


def forget() -> None:
    """What a new process does not know."""
    weights._file_digest.cache_clear()


def test_the_digest_is_the_files_sha256(local: Card) -> None:
    assert weights.digest(local) == sha256(CONTENT)


def test_a_digest_is_computed_once(local: Card, reads: list[str]) -> None:
    assert weights.digest(local) == weights.digest(local)
    assert reads == ["mine.pth"]


def test_another_process_remembers_the_digest(local: Card, reads: list[str]) -> None:
    first = weights.digest(local)
    forget()
    assert weights.digest(local) == first
    assert reads == ["mine.pth"]


def test_a_file_of_another_size_has_another_digest(local: Card) -> None:
    weights.digest(local)
    located(local).write_bytes(b"other")
    assert weights.digest(local) == sha256(b"other")
    forget()
    assert weights.digest(local) == sha256(b"other")


def test_a_file_that_changed_at_another_time_has_another_digest(local: Card) -> None:
    weights.digest(local)
    located(local).write_bytes(CONTENT[::-1])
    os.utime(located(local), ns=(1, 1))
    assert weights.digest(local) == sha256(CONTENT[::-1])
    forget()
    assert weights.digest(local) == sha256(CONTENT[::-1])


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"stamp": [], "sha256": "0"}'])
def test_a_damaged_memory_is_not_believed(local: Card, tmp_path: Path, damage: str) -> None:
    weights.digest(local)
    remembered = list((tmp_path / "data" / "cache" / "digests").iterdir())
    assert len(remembered) == 1
    remembered[0].write_text(damage)
    forget()
    assert weights.digest(local) == sha256(CONTENT)


def test_without_a_data_folder_the_digest_is_computed_all_the_same(
    local: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "file" / "data"))
    assert weights.digest(local) == sha256(CONTENT)


def test_the_right_hash_is_accepted(local: Card, tmp_path: Path) -> None:
    verify(local)
    verify(make_card(tmp_path / "cards", sha256=sha256(CONTENT)))


def test_a_wrong_hash_in_a_card_is_refused_with_a_sentence(local: Card, tmp_path: Path) -> None:
    card = make_card(tmp_path / "cards", sha256=sha256(b"other"))
    with pytest.raises(XaiError) as caught:
        verify(card)
    assert str(caught.value) == (
        f"The weights file {tmp_path / 'cards' / 'mine.pth'} is not the one that the card of Mine names "
        "(its SHA-256 differs); remove it and get it again."
    )


# Downloads


def test_a_download_brings_the_whole_file_and_leaves_nothing_else(card: Card, server: Server, kept: Path) -> None:
    path = fetch(card)
    assert path.read_bytes() == CONTENT
    assert path.parent == kept
    assert list(kept.iterdir()) == [path]
    assert status(card) == Status("ready", path, len(CONTENT), "ready")
    assert server.asked == ["/mine.pth"]
    verify(card)


def test_what_is_here_is_not_downloaded_again(card: Card, server: Server) -> None:
    assert fetch(card) == fetch(card)
    assert len(server.asked) == 1


def test_progress_only_grows_and_ends_at_the_total(card: Card) -> None:
    reports: list[tuple[int, int]] = []
    fetch(card, lambda done, total: reports.append((done, total)))
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert {total for _, total in reports} == {len(CONTENT)}
    assert reports[-1] == (len(CONTENT), len(CONTENT))
    assert len(reports) > 20


def test_a_download_that_breaks_off_several_times_goes_on_where_it_was(card: Card, server: Server, kept: Path) -> None:
    server.breaks = [10_000, 1, 30_000, 20_000, 7]
    reports: list[int] = []
    path = fetch(card, lambda done, total: reports.append(done))
    assert path.read_bytes() == CONTENT
    assert server.starts == [0, 10_000, 10_001, 40_001, 60_001, 60_008]
    assert reports == sorted(set(reports))
    assert reports[-1] == len(CONTENT)
    assert left_over(kept) == []


def test_more_breaks_than_attempts_do_no_harm_while_the_file_grows(card: Card, server: Server) -> None:
    server.breaks = [1000] * 50
    assert fetch(card).read_bytes() == CONTENT
    assert len(server.asked) == 51


def test_a_connection_that_falls_silent_is_taken_up_again(
    card: Card, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "TIMEOUT", 0.2)
    server.stalls = [50_000]
    assert fetch(card).read_bytes() == CONTENT
    assert len(server.starts) == 2
    assert server.starts[1] > 40_000


def test_a_server_that_ignores_ranges_sends_it_all_again(card: Card, server: Server, kept: Path) -> None:
    server.ranges = False
    server.breaks = [60_000]
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts == [0, 60_000]
    assert left_over(kept) == []


def test_a_server_that_ignores_ranges_and_always_breaks_off_is_given_up(card: Card, server: Server) -> None:
    server.ranges = False
    server.breaks = [60_000] * 50
    assert "the connection broke off" in sentence(card)
    assert len(server.asked) == 4


def test_a_server_that_does_not_say_the_length_is_enough(card: Card, server: Server) -> None:
    server.says_length = False
    reports: list[tuple[int, int]] = []
    assert fetch(card, lambda done, total: reports.append((done, total))).read_bytes() == CONTENT
    assert reports[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_an_address_without_the_file_fails_at_once_with_a_sentence(
    card: Card, server: Server, waits: list[float], code: int
) -> None:
    server.answers = [code]
    said = sentence(card)
    host = server.url.removeprefix("http://")
    assert said.startswith(f"Mine could not be downloaded from {host} (the server answered {code} ")
    assert said.endswith(f"or put mine.pth into {card.folder}.")
    assert (len(server.asked), waits) == (1, [])


def test_a_server_in_trouble_is_asked_again_after_growing_pauses(
    card: Card, server: Server, waits: list[float]
) -> None:
    server.answers = [503, 500]
    assert fetch(card).read_bytes() == CONTENT
    assert len(server.asked) == 3
    assert len(waits) == 2 and 0 < waits[0] < waits[1]


def test_a_server_that_stays_in_trouble_is_given_up_with_a_sentence(card: Card, server: Server) -> None:
    server.answers = [503] * 10
    assert "the server answered 503 Service Unavailable" in sentence(card)
    assert len(server.asked) == 3


def test_a_server_that_is_down_is_a_sentence(tmp_path: Path, waits: list[float]) -> None:
    port = closed_port()
    card = make_card(tmp_path, url=f"http://127.0.0.1:{port}/mine.pth")
    assert f"from 127.0.0.1:{port} (Connection refused)" in sentence(card)
    assert len(waits) == 2
    assert status(card).state == "download"


def test_a_connection_that_is_refused_an_answer_is_tried_again(
    card: Card, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    really_open = urllib.request.urlopen

    def opened(request: urllib.request.Request, timeout: float) -> Any:
        if not waits:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return really_open(request, timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    assert fetch(card).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "url", ["mirror.example/mine.pth", "nonsense://mirror/mine.pth", "http://a host/x", "/mine.pth"]
)
def test_an_address_that_is_none_is_a_sentence(tmp_path: Path, url: str) -> None:
    assert "Mine could not be downloaded" in sentence(make_card(tmp_path, url=url))


def test_a_network_that_goes_away_in_the_middle_is_waited_for(
    card: Card, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = urllib.request.urlopen

    def opened(request: urllib.request.Request, timeout: float) -> Any:
        response = really_open(request, timeout=timeout)
        if len(server.asked) == 1:
            read = response.read

            def read_once(amount: int) -> bytes:
                def fail(amount: int) -> bytes:
                    raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))

                response.read = fail
                return bytes(read(amount))

            response.read = read_once
        return response

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts == [0, 4096]


def test_a_disk_that_cannot_be_written_is_a_sentence(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "file" / "data"))
    assert sentence(card).startswith(f"Mine could not be saved in {tmp_path / 'file' / 'data' / 'weights'}: ")


def test_a_full_disk_is_a_sentence_and_not_a_lost_connection(
    card: Card, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(XaiError, match=r"could not be saved in .*: No space left on device\."):
        fetch(card, full)
    assert len(server.asked) == 1


def test_what_arrives_with_a_wrong_hash_is_removed_with_a_sentence(tmp_path: Path, server: Server, kept: Path) -> None:
    card = make_card(tmp_path, url=f"{server.url}/mine.pth", sha256=sha256(b"other"))
    assert "arrived damaged" in sentence(card)
    assert list(kept.iterdir()) == []
    assert status(card).state == "download"


def test_after_a_wrong_hash_the_next_try_starts_from_the_beginning(card: Card, server: Server) -> None:
    server.content = CONTENT[::-1]
    assert "arrived damaged" in sentence(card)
    server.content = CONTENT
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts == [0, 0]


def test_a_part_that_is_already_whole_is_only_given_its_name(card: Card, server: Server, kept: Path) -> None:
    leave_part(card, CONTENT, kept)
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts[1:] == [len(CONTENT)]
    assert left_over(kept) == []


def test_a_part_that_is_too_long_is_thrown_away(card: Card, server: Server, kept: Path) -> None:
    leave_part(card, CONTENT + b"more", kept)
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts[1:] == [len(CONTENT) + 4, 0]


def test_a_part_of_something_else_is_found_out_by_its_hash(card: Card, kept: Path) -> None:
    leave_part(card, bytes(50_000), kept)
    assert "arrived damaged" in sentence(card)
    assert fetch(card).read_bytes() == CONTENT


def test_an_unsatisfied_range_without_a_length_throws_the_part_away(card: Card, server: Server, kept: Path) -> None:
    leave_part(card, CONTENT[:5000], kept)
    server.answers = [416]
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts[1:] == [5000, 0]


def test_a_second_download_of_the_same_file_gets_a_sentence(card: Card, kept: Path) -> None:
    said: list[str] = []

    def ask_again(done: int, total: int) -> None:
        if not said:
            said.append(sentence(card))

    assert fetch(card, ask_again).read_bytes() == CONTENT
    assert said == ["Mine is being downloaded by another process; wait until it is there."]
    assert left_over(kept) == []


def test_two_never_download_the_same_file_though_a_lock_is_removed_while_it_is_taken(
    card: Card, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = fcntl.flock
    removed: list[Path] = []

    def lock_after_another_has_finished(file: Any, operation: int) -> None:
        if not removed:
            removed.extend(kept.glob("*.lock"))
            removed[0].unlink()
        lock_file(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_after_another_has_finished)
    said: list[str] = []

    def ask_again(done: int, total: int) -> None:
        if not said:
            said.append(sentence(card))

    assert fetch(card, ask_again).read_bytes() == CONTENT
    assert "by another process" in said[0]


def test_a_file_that_another_process_finished_in_between_is_not_downloaded_again(
    card: Card, server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(card)
    done = next(kept.iterdir())
    aside = done.rename(kept / "aside")
    lock_file = fcntl.flock

    def lock_after_another_has_finished(file: Any, operation: int) -> None:
        aside.rename(done)
        lock_file(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_after_another_has_finished)
    assert fetch(card) == done
    assert len(server.asked) == 1
    assert left_over(kept) == []


def test_a_cancelled_download_keeps_what_it_has_and_the_next_goes_on_from_there(
    card: Card, server: Server, kept: Path
) -> None:
    def cancel(done: int, total: int) -> None:
        if done > 30_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(card, cancel)
    part = part_of(card, kept)
    have = part.stat().st_size
    assert part.read_bytes() == CONTENT[:have]
    assert 30_000 < have < 40_000
    assert left_over(kept) == [part.name]
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts == [0, have]
    assert left_over(kept) == []


def test_the_part_of_a_failed_download_stays_for_the_next_try(card: Card, server: Server) -> None:
    server.breaks = [25_000]
    server.answers = []
    server.ranges = True

    def break_server(done: int, total: int) -> None:
        server.answers = [503] * 4

    with pytest.raises(XaiError, match="could not be downloaded"):
        fetch(card, break_server)
    server.answers = []
    assert fetch(card).read_bytes() == CONTENT
    assert server.starts[-1] == 25_000


def test_after_a_failure_the_other_models_still_work(card: Card, server: Server, tmp_path: Path) -> None:
    other = make_card(tmp_path, "other", url=f"{server.url}/other.pth")
    server.answers = [404]
    sentence(card)
    assert fetch(other).read_bytes() == CONTENT
    assert status(card).state == "download"
    assert status(cards()["efficientnet_lite0"]).state == "ready"


def test_two_cards_whose_files_have_the_same_name_do_not_take_each_others(tmp_path: Path, server: Server) -> None:
    one = make_card(tmp_path, "one", file="one/model.safetensors", url=f"{server.url}/one")
    two = make_card(tmp_path, "two", file="two/model.safetensors", url=f"{server.url}/two")
    first = fetch(one)
    assert status(two).state == "download"
    server.content = b"second"
    assert fetch(two).read_bytes() == b"second"
    assert first.read_bytes() == CONTENT


# The mirror of torchvision's checkpoints


def test_the_mirror_is_asked_for_torchvisions_files(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_WEIGHTS_MIRROR", f"{server.url}/models/")
    server.answers = [404]
    sentence(cards()["resnet50"])
    assert server.asked == [f"/models/{RESNET_FILE}"]


def test_a_file_of_the_mirror_that_is_not_torchvisions_is_refused(
    server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_WEIGHTS_MIRROR", server.url)
    assert "ResNet-50 arrived damaged" in sentence(cards()["resnet50"])
    assert list(kept.iterdir()) == []


def test_a_file_of_the_mirror_whose_hash_has_the_published_prefix_is_accepted(
    server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_WEIGHTS_MIRROR", server.url)
    file = f"resnet50-{sha256(CONTENT)[:8]}.pth"
    published = Checkpoint(f"https://download.example/models/{file}", len(CONTENT))
    monkeypatch.setattr(torchvision_facts, "checkpoint", lambda architecture, member: published)
    assert fetch(cards()["resnet50"]) == kept / file
    assert (kept / file).read_bytes() == CONTENT


def test_a_mirror_without_a_scheme_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_WEIGHTS_MIRROR", "mirror.example/models")
    assert "ResNet-50 could not be downloaded" in sentence(cards()["resnet50"])


# Downloads on threads


def test_a_download_on_a_thread_reports_its_end(card: Card) -> None:
    download = finished(Download(card))
    assert (download.error, download.done, download.total) == ("", len(CONTENT), len(CONTENT))
    assert status(card).state == "ready"


def test_a_download_on_a_thread_reports_how_far_it_is(card: Card, server: Server) -> None:
    server.stalls = [50_000]
    download = Download(card)
    assert download.total == len(CONTENT)
    until(lambda: download.done > 40_000)
    assert download.running
    assert download.done <= 50_000
    assert download.seconds_left is not None and download.seconds_left > 0
    server.go_on.set()
    assert finished(download).done == len(CONTENT)
    assert download.seconds_left == 0


def test_the_time_left_of_a_resumed_download_counts_only_what_arrived_now(
    card: Card, server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_part(card, CONTENT[:90_000], kept)
    server.stalls = [5000]
    now = [0.0]
    monkeypatch.setattr(weights, "time", SimpleNamespace(sleep=time.sleep, monotonic=lambda: now[0]))
    download = Download(card)
    assert download.seconds_left is None
    until(lambda: download.done == 94_096)
    now[0] = 4.096
    assert download.seconds_left == pytest.approx(5.904)
    server.go_on.set()
    finished(download)


def test_before_anything_arrived_the_time_left_is_unknown(card: Card, server: Server) -> None:
    server.stalls = [0]
    download = Download(card)
    assert download.seconds_left is None
    server.go_on.set()
    finished(download)


def test_a_download_on_a_thread_reports_its_error(card: Card, server: Server) -> None:
    server.answers = [404]
    download = finished(Download(card))
    assert download.error.startswith("Mine could not be downloaded from ")
    assert status(card).state == "download"


def test_a_cancelled_download_on_a_thread_ends_without_an_error_and_can_go_on(card: Card, server: Server) -> None:
    server.stalls = [50_000]
    downloads = Downloads()
    first = downloads.start(card)
    until(lambda: first.done > 40_000)
    first.cancel()
    server.go_on.set()
    assert finished(first).error == ""
    assert status(card).state == "download"
    second = finished(downloads.start(card))
    assert second is not first
    assert (second.error, status(card).state) == ("", "ready")
    assert server.starts[1] > 40_000


def test_downloads_run_once_per_model(card: Card, server: Server) -> None:
    server.stalls = [1000]
    downloads = Downloads()
    assert downloads.get(card.name) is None
    first = downloads.start(card)
    assert downloads.start(card) is first
    assert downloads.get(card.name) is first
    server.go_on.set()
    finished(first)
    assert len(server.asked) == 1


def test_a_failed_download_can_be_started_again(card: Card, server: Server) -> None:
    server.answers = [404]
    downloads = Downloads()
    assert finished(downloads.start(card)).error
    assert finished(downloads.start(card)).error == ""
    assert status(card).state == "ready"


def test_a_second_process_reports_that_the_file_is_on_its_way(card: Card, server: Server) -> None:
    server.stalls = [1000]
    first = Downloads().start(card)
    until(lambda: bool(server.asked))
    second = finished(Downloads().start(card))
    assert second.error == "Mine is being downloaded by another process; wait until it is there."
    server.go_on.set()
    assert finished(first).error == ""
