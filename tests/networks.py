"""Small networks with random or planted weights, which cards of the tests name as `tests.networks:NAME`."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """A block with all that makes a network hard to explain: a reused in-place ReLU and an in-place addition."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class Tiny(nn.Module):
    """A residual network of 5 classes: (3, 32, 32) in, `stage2` gives (12, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.stage1 = Residual(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.stage2 = Residual(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu(self.stem(x), inplace=True)
        x = self.stage2(self.down(self.stage1(x)))
        return self.head(x.mean(dim=(2, 3)))


def tiny() -> nn.Module:
    """What the test cards build."""
    return Tiny()


class Linear(nn.Module):
    """logits = W x + b over all pixels, without any non-linearity."""

    def __init__(self, size: int, classes: int = 3):
        super().__init__()
        self.fc = nn.Linear(3 * size * size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1))


class TwoLinear(nn.Module):
    """Two linear layers with the first one's output as a (C, h, w) map: `second` is a layer to explain at."""

    def __init__(self, size: int, classes: int = 3):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4 * size * size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.second(self.first(x)).flatten(1))


class Quadratic(nn.Module):
    """logit 0 = sum of x^2, logit 1 = 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = (x * x).flatten(1).sum(1)
        return torch.stack([total, torch.zeros_like(total)], dim=1)


class GlobalPool(nn.Module):
    """A convolution, global average pooling and a linear head: Grad-CAM is proportional to CAM here."""

    def __init__(self, classes: int = 4):
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.features(x)).mean(dim=(2, 3)))


class BrightPatch(nn.Module):
    """Class 1 grows with the brightness of one square of the picture and with nothing else: a planted signal."""

    def __init__(self, size: int = 32, top: int = 8, left: int = 16, side: int = 8):
        super().__init__()
        weight = torch.zeros(1, 1, size, size)
        weight[..., top : top + side, left : left + side] = 1 / side**2
        self.weight = nn.Parameter(weight)
        self.pool = nn.AvgPool2d(2)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.relu(x.mean(1, keepdim=True) * self.weight)
        score = self.pool(seen).flatten(1).sum(1) * 4
        return torch.stack([torch.full_like(score, 2.0), 8 * score], dim=1)


class LeftBrightness(nn.Module):
    """The probability of class 1 is the mean brightness of the left half: examples can be computed by hand."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = x[..., : x.shape[-1] // 2].mean(dim=(1, 2, 3)).clamp(1e-12, 1 - 1e-7)
        return torch.stack([torch.log1p(-p), p.log()], dim=1)


class Brightness(nn.Module):
    """The probability of class 1 is the mean brightness of the whole picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = x.double().mean(dim=(1, 2, 3)).clamp(1e-12, 1 - 1e-12)
        return torch.stack([torch.log1p(-p), p.log()], dim=1)


class Blind(nn.Module):
    """Two constant logits: no picture changes anything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.3, 1.2]], device=x.device).repeat(len(x), 1)


class BrightSpot(nn.Module):
    """Class 1 grows with a bright spot anywhere in the picture, through two layers of ReLUs and a pooling: a planted
    signal that every family of methods can find."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.relu2 = nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for conv, threshold in ((self.conv1, 0.55), (self.conv2, 0.0)):
                conv.weight.copy_(torch.rand(conv.weight.shape, generator=generator) + 0.2)
                conv.weight.div_(conv.weight.sum(dim=(1, 2, 3), keepdim=True))
                conv.bias.fill_(-threshold)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.relu2(self.conv2(self.pool(self.relu1(self.conv1(x)))))
        score = 8 * seen.amax(dim=(2, 3)).mean(1) + 40 * seen.mean(dim=(1, 2, 3))
        return torch.stack([torch.full_like(score, 2.0), score], dim=1)
