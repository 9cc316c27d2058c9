"""The engine that `XAI_ENGINE` names."""

from __future__ import annotations

from collections.abc import Sequence

from .. import settings
from .jobs import Engine


def chosen_engine(warm: Sequence[str] = ()) -> Engine:
    """Starts an engine; `warm` names models that its workers load at the start."""
    name = settings.current().engine
    if name == "inline":
        from .inline import InlineEngine

        return InlineEngine()
    if name == "ray":
        from .cluster import RayEngine

        return RayEngine(warm)
    from .local import LocalEngine

    return LocalEngine(warm)
