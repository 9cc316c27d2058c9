"""A network that a test can watch, slow down, break or kill from outside, through the overrides of its card."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from ..networks import Tiny


class Observer(nn.Module):
    """Passes its input on; `log` is a file that grows by one line a call: how many pictures were in it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = ""
        self.seconds = 0.0
        self.breaks = ""
        self.kills = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{len(x)}\n")
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.breaks:
            raise RuntimeError(self.breaks)
        time.sleep(self.seconds)
        return x


class Observed(Tiny):
    """`Tiny` behind an observer."""

    def __init__(self) -> None:
        super().__init__()
        self.observer = Observer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.observer(x))


def observed() -> nn.Module:
    """What a card builds; `overrides` such as `observer.seconds` set what the observer does."""
    return Observed()


def calls(log: Path) -> list[int]:
    """The size of every batch that has gone through the network so far."""
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []
