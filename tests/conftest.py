"""Fixtures: every test gets an empty data folder, no settings of the machine, and no network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml

ROOT = Path(__file__).parents[1]

# Small networks run several times slower on two threads of a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("quick", deadline=None)
hypothesis.settings.load_profile("quick")


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty `XAI_DATA` and torch cache, one thread, and none of the machine's own settings."""
    for name in list(os.environ):
        if name.startswith("XAI_") and not name.startswith("XAI_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XAI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XAI_DEVICE", "cpu")
    monkeypatch.setenv("XAI_THREADS", "1")
    from xai_core import api

    api.engine.cache_clear()
    yield
    api.engine.cache_clear()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with pictures and a real network that is no part of the project; skips where it is absent."""
    folder = Path(os.environ.get("XAI_TEST_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"there is no shared data in {folder}; name the folder by XAI_TEST_SHARED")
    return folder


def write_tiny_card(folder: Path, name: str = "tiny", seed: int = 0, **changes: object) -> Path:
    """A card of `tests.networks.tiny` with random weights in a safetensors file beside it."""
    import torch
    from safetensors.torch import save_file

    from .networks import tiny

    torch.manual_seed(seed)
    network = tiny()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    card = {
        "name": name,
        "title": name.capitalize(),
        "architecture": "tests.networks:tiny",
        "weights": {"file": f"{name}.safetensors"},
        "preprocess": {"resize": 36, "crop": 32},
        "categories": [f"class {index}" for index in range(5)],
        "cam_layer": "stage2",
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


@pytest.fixture
def tiny_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of `XAI_MODELS_DIR` with the card `tiny`; returns the card's file."""
    path = write_tiny_card(tmp_path / "models")
    monkeypatch.setenv("XAI_MODELS_DIR", str(tmp_path / "models"))
    return path


@pytest.fixture
def picture():  # type: ignore[no-untyped-def]
    """A small picture with structure: a bright disc on a gradient, uint8 (40, 48, 3)."""
    import numpy as np

    from xai_core.types import Picture

    down, right = np.mgrid[0:40, 0:48]
    pixels = np.stack([down * 5, right * 4, 200 - down * 2], axis=-1).astype(np.uint8)
    pixels[(down - 18) ** 2 + (right - 26) ** 2 < 90] = (250, 240, 60)
    return Picture(pixels, name="disc.png")
