"""Facts about torchvision's checkpoints and classes, read from its source text: importing it would load torch."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..types import XaiError


@dataclass(frozen=True)
class Checkpoint:
    """One published checkpoint: where it is, how its file is called, its size in bytes (0 if unknown)."""

    url: str
    size: int

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def hash_prefix(self) -> str:
        """The first hexadecimal digits of the file's SHA-256, which torchvision puts into its name."""
        return self.file.rpartition("-")[2].partition(".")[0]


def _models_folder() -> Path:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise XaiError("The package torchvision is not installed; run make run again.")
    return Path(next(iter(spec.submodule_search_locations))) / "models"


@lru_cache(maxsize=1)
def imagenet_categories() -> tuple[str, ...]:
    """The 1000 class names of ImageNet-1k in torchvision's spelling, by index."""
    tree = ast.parse((_models_folder() / "_meta.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_IMAGENET_CATEGORIES":
            return tuple(ast.literal_eval(node.value))
    raise XaiError("This torchvision keeps its class names elsewhere; install the version of requirements.txt.")


@lru_cache(maxsize=64)
def checkpoint(architecture: str, member: str) -> Checkpoint:
    """The checkpoint that a member of an architecture's weights enum names, such as ("resnet50", "IMAGENET1K_V1").

    Raises `XaiError` when torchvision has no such architecture or member.
    """
    for path in sorted(_models_folder().glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f"def {architecture}(" not in text:
            continue
        tree = ast.parse(text)
        enum = _enum_of(tree, architecture)
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == enum:
                return _member(node, member, architecture)
    raise XaiError(f"torchvision has no classifier {architecture!r} with published weights.")


def _enum_of(tree: ast.Module, architecture: str) -> str:
    """The name of the weights enum in the annotation of the builder's `weights` argument."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == architecture:
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                if argument.arg == "weights" and argument.annotation is not None:
                    names = [part.id for part in ast.walk(argument.annotation) if isinstance(part, ast.Name)]
                    return next((name for name in names if name.endswith("_Weights")), "")
    return ""


def _member(enum: ast.ClassDef, member: str, architecture: str) -> Checkpoint:
    members = {
        target.id: node.value
        for node in enum.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if member not in members:
        raise XaiError(f"torchvision's {architecture} has no weights {member!r}; it has {', '.join(members)}.")
    call = members[member]
    assert isinstance(call, ast.Call)
    url, megabytes = "", 0.0
    for node in ast.walk(call):
        if isinstance(node, ast.keyword) and node.arg == "url" and isinstance(node.value, ast.Constant):
            url = str(node.value.value)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "_file_size" and isinstance(value, ast.Constant):
                    assert isinstance(value.value, int | float)
                    megabytes = float(value.value)
    return Checkpoint(url, round(megabytes * 2**20))
