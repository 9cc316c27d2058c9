"""The rules that keep the parts apart."""

from __future__ import annotations

import subprocess
import sys

from .conftest import ROOT


def test_imports_go_one_way() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "2 kept, 0 broken" in done.stdout


def loaded_after(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after running `code`."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {"torch", "skimage", "scipy", "sklearn", "torchvision", "timm", "streamlit"} & set(done.stdout.split())


def test_asking_the_registries_loads_nothing_heavy() -> None:
    code = """
from xai_core.registry import CORRUPTIONS, METHODS, MODELS, SCORES, STUDIES, TRIALS
for registry in (METHODS, SCORES, CORRUPTIONS):
    for spec in registry:
        spec.options, spec.make({}, "quick").cost() if spec.name != "shap" else None
for registry in (STUDIES, TRIALS):
    for spec in registry:
        spec.make({}, "quick")
for card in MODELS:
    card.labels
"""
    assert loaded_after(code) == set()


def test_using_the_engine_from_outside_loads_nothing_heavy() -> None:
    code = """
import xai_core
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.local import LocalEngine
from xai_core.images.galleries import bundled
from xai_core.registry import METHODS, MODELS
comparison = Comparison(bundled().samples[0].open(), [MODELS["efficientnet_lite0"]], [])
card = comparison.cards[0]
for name in METHODS.entries():
    comparison.explanation(card, Variant(name, METHODS[name].make()), 0).digest
"""
    assert loaded_after(code) == set()
