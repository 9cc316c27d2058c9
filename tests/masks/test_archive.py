"""Archives of masks: what goes in comes out, and nothing else is written."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from xai_core.masks.exchange import archive
from xai_core.masks.exchange.archive import archived, unpack
from xai_core.types import XaiError


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return buffer.getvalue()


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "one" / "Ann").mkdir(parents=True)
    (tmp_path / "one" / "Ann" / "owl.png").write_bytes(b"pixels")
    (tmp_path / "one" / "annotations.json").write_bytes(b"[]")
    unpack(archived(tmp_path / "one"), tmp_path / "two", "masks.zip")
    found = {file.relative_to(tmp_path / "two").as_posix() for file in (tmp_path / "two").rglob("*") if file.is_file()}
    assert found == {"Ann/owl.png", "annotations.json"}
    assert (tmp_path / "two" / "Ann" / "owl.png").read_bytes() == b"pixels"


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    unpack(zipped(**{"../../evil.png": b"1", "/etc/evil.png": b"2"}), tmp_path / "in" / "side", "masks.zip")
    assert {file.name for file in tmp_path.rglob("*.png")} == {"evil.png"}
    assert all((tmp_path / "in" / "side") in file.parents for file in tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    "data",
    [b"", b"no zip", zipped(a=b"x" * 1000)[:-30], zipped(a=b"x" * 1000)[30:]],
    ids=["empty", "no zip", "end cut off", "beginning cut off"],  # a ZIP holds the time: its bytes make no steady name
)
def test_what_is_no_whole_zip_gets_a_sentence(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(XaiError, match=r"^masks\.zip is damaged, or no ZIP file: pack it again\.$"):
        unpack(data, tmp_path, "masks.zip")


def test_a_changed_byte_is_seen(tmp_path: Path) -> None:
    data = bytearray(zipped(a=bytes(range(256)) * 9))
    data[60] ^= 255
    with pytest.raises(XaiError, match="damaged"):
        unpack(bytes(data), tmp_path, "masks.zip")


def test_a_locked_one_gets_a_sentence(tmp_path: Path) -> None:
    data = bytearray(zipped(a=b"secret"))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of encryption
        at = data.index(mark) + place
        (flags,) = struct.unpack_from("<H", data, at)
        struct.pack_into("<H", data, at, flags | 1)
    with pytest.raises(XaiError, match="locked by a password"):
        unpack(bytes(data), tmp_path, "masks.zip")


def test_too_many_or_too_large_are_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LARGEST_MB", 1)
    with pytest.raises(XaiError, match=r"unpacks to 1 files with 2 MB"):
        unpack(zipped(bomb=b"\0" * 2 * 1024 * 1024), tmp_path, "masks.zip")
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    with pytest.raises(XaiError, match=r"at most 2 files"):
        unpack(zipped(a=b"", b=b"", c=b""), tmp_path, "masks.zip")
    assert not list(tmp_path.iterdir())
