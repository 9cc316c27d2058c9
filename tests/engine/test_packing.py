"""Results survive the way through bytes, and bytes that were changed are refused without executing anything."""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_core.engine.packing import Result, pack, unpack
from xai_core.types import Blocks, Cost, Curve, Imagined, Prediction, Probed, SaliencyMap, Score

PROFILE = {"device": "cpu", "threads": 1, "folded": True, "batch": 8}

sides = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
floats = hnp.arrays(np.float32, sides, elements=st.floats(width=32))
lines = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=1, max_side=8), elements=st.floats(width=32))
names = st.text(min_size=1, max_size=12)
numbers = st.floats(allow_nan=True, allow_infinity=True)


def saliency_map(values: npt.NDArray[np.float32], errors: npt.NDArray[np.float32] | None = None) -> SaliencyMap:
    return SaliencyMap(
        values=values,
        errors=errors,
        signed=True,
        method="lime",
        parameters={"samples": 100, "fill": "black", "kernel_width": 0.25},
        target=0,
        seed=3,
        layer=None,
        notes=("This map is flat: every pixel has the same value.", "Übrigens: “quoted”."),
        key="k" * 64,
        passes=Cost(100, 7),
        seconds=1.25,
        profile=PROFILE,
    )


def some_score(values: dict[str, float], curves: dict[str, Curve]) -> Score:
    reasons = {part: "there is no mask" for part, value in values.items() if math.isnan(value)}
    return Score("road", values, reasons, curves, {"steps": 9}, "k" * 64, Cost(19, 0), 0.5, PROFILE)


def small_results() -> list[Result]:
    """One result of every kind."""
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    frame = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    curve = Curve(rows[0], rows[1])
    return [
        Prediction(rows[0], frame, rows > 2, "k" * 64, Cost(1, 0), 0.1, PROFILE),
        saliency_map(rows, rows / np.float32(7)),
        some_score({"morf": 0.5, "lerf": math.nan}, {"morf": curve}),
        Imagined(frame, curve, 2.5, None, "drawer", {"steps": 3}, None, 0, "a", (), "k" * 64, Cost(3, 3), 0.1, PROFILE),
        Probed(0.5, 0.25, rows[0], "k" * 64, Cost(5, 0), 0.1, PROFILE),
        Blocks((("head",), ("stage1.conv1", "stage1.bn1")), "k" * 64, Cost(), 0.1, PROFILE),
    ]


def identical(first: npt.NDArray[np.generic] | None, second: npt.NDArray[np.generic] | None) -> bool:
    """Whether two arrays have the same type, shape and bytes, not-a-number included."""
    if first is None or second is None:
        return first is second
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@given(floats, st.booleans())
@settings(deadline=None)
def test_a_map_comes_back_as_it_was(values: npt.NDArray[np.float32], with_errors: bool) -> None:
    before = saliency_map(values, np.abs(values) if with_errors else None)
    after = unpack(pack(before))
    assert isinstance(after, SaliencyMap)
    assert identical(after.values, before.values) and identical(after.errors, before.errors)
    for name in ("signed", "method", "parameters", "target", "seed", "layer", "notes", "key", "passes", "profile"):
        assert getattr(after, name) == getattr(before, name)
    assert after.seconds == before.seconds


@given(lines, hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3))), st.booleans())
@settings(deadline=None)
def test_a_prediction_comes_back_as_it_was(
    probabilities: npt.NDArray[np.float32], frame: npt.NDArray[np.uint8], covered: bool
) -> None:
    occluded = frame[..., 0] > 100 if covered else None
    before = Prediction(probabilities, frame, occluded, "key", Cost(1, 0), 0.25, PROFILE)
    after = unpack(pack(before))
    assert isinstance(after, Prediction)
    assert identical(after.probabilities, probabilities) and identical(after.frame, frame)
    assert identical(after.occluded, occluded)
    assert (after.key, after.passes, after.seconds, after.profile) == ("key", Cost(1, 0), 0.25, PROFILE)


@given(st.dictionaries(names, numbers, max_size=4), st.dictionaries(names, st.tuples(lines, lines), max_size=3))
@example(
    {"array": 0.0, "curve": 1.0},
    {
        "curve": (np.zeros(1, np.float32), np.zeros(1, np.float32)),
        "dict": (np.zeros(1, np.float32), np.zeros(1, np.float32)),
    },
)
@settings(deadline=None)
def test_a_score_comes_back_as_it_was(
    values: dict[str, float], curves: dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
) -> None:
    before = some_score(values, {name: Curve(x, y) for name, (x, y) in curves.items()})
    after = unpack(pack(before))
    assert isinstance(after, Score)
    assert list(after.values) == list(values)
    assert all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(after.values.values(), values.values(), strict=True)
    )
    assert after.reasons == before.reasons and after.parameters == before.parameters
    assert after.curves.keys() == curves.keys()
    for name, (x, y) in curves.items():
        assert identical(after.curves[name].x, x) and identical(after.curves[name].y, y)


@pytest.mark.parametrize("result", small_results(), ids=lambda result: type(result).__name__)
def test_packing_what_was_unpacked_gives_the_same_bytes(result: Result) -> None:
    data = pack(result)
    assert pack(unpack(data)) == data


def test_arrays_of_a_result_that_was_read_cannot_be_changed() -> None:
    after = unpack(pack(small_results()[1]))
    assert isinstance(after, SaliencyMap)
    with pytest.raises(ValueError, match="read-only"):
        after.values[0, 0] = 1


@pytest.mark.parametrize("result", small_results(), ids=lambda result: type(result).__name__)
def test_a_changed_byte_anywhere_is_refused(result: Result) -> None:
    data = pack(result)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ValueError):
            unpack(bytes(damaged))


@pytest.mark.parametrize("result", small_results(), ids=lambda result: type(result).__name__)
def test_a_result_that_is_cut_off_or_too_long_is_refused(result: Result) -> None:
    data = pack(result)
    for length in range(len(data)):
        with pytest.raises(ValueError):
            unpack(data[:length])
    with pytest.raises(ValueError):
        unpack(data + b"\0")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_result_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(data)


class Planted:
    """Touches a file when a pickle of it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_with_a_valid_hash_is_refused_and_not_executed(tmp_path: Path) -> None:
    planted = tmp_path / "executed"
    header = b'{"type": "Score", "content": {"name": {"array": 0}}}'
    body = len(header).to_bytes(8, "little") + header
    for payload in (pickle.dumps(Planted(planted)), _npy_of_objects(planted)):
        data = body + payload
        with pytest.raises(ValueError):
            unpack(hashlib.sha256(data).digest() + data)
    assert not planted.exists()


def _npy_of_objects(planted: Path) -> bytes:
    """An .npy file that holds pickled objects, as numpy writes it when it is allowed to."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([Planted(planted)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def test_arrays_of_objects_are_not_written_either() -> None:
    with pytest.raises(ValueError):
        pack(saliency_map(np.array([[object()]], dtype=object)))
