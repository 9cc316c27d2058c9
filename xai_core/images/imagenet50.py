"""Imagenet50 through `shap.datasets.imagenet50()`: downloaded once, then kept as PNG files.

The 50 pictures have no class labels: SHAP's label file holds, row by row, the number at the end of the original
JPEG's name, and that number names the picture here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .. import settings
from ..types import Cancelled, XaiError

LICENCE = "Collected by SHAP (MIT) from an image search for reusable pictures"
COUNT = 50


def downloaded() -> list[Path]:
    """The files of an earlier download in the order of SHAP's array, or none."""
    return sorted((settings.current().data / "imagenet50").glob("*.png"))


def download(stopped: Callable[[], bool] = lambda: False) -> list[Path]:
    """Downloads the pictures into the data folder and returns the files.

    shap is imported in a process of its own, so that the caller's stays light. Raises `XaiError` when the download
    fails, and `Cancelled` when `stopped` says so; nothing half-written stays behind.
    """
    target = settings.current().data / "imagenet50"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="imagenet50-", dir=target.parent))
    except OSError as error:
        raise XaiError(f"Imagenet50 could not be saved in {target.parent}: {error.strerror or error}.") from None
    try:
        command = [sys.executable, "-m", __spec__.name, str(work)]
        root = Path(__file__).parents[2]
        with (work / "errors").open("w+") as errors, subprocess.Popen(command, stderr=errors, cwd=root) as process:
            while process.poll() is None:
                if stopped():
                    process.kill()
                    raise Cancelled
                time.sleep(0.1)
        if process.returncode:
            reason = ((work / "errors").read_text().strip().splitlines() or ["unknown"])[-1]
            raise XaiError(
                f"Imagenet50 could not be downloaded ({reason}); connect to the internet and try again, "
                "or name a folder with its pictures by the setting XAI_IMAGENET50_DIR."
            )
        if not target.exists():
            (work / "pictures").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return downloaded()


def _main(work: Path) -> None:
    """Runs in a process of its own: calls shap and writes its pictures below `work`."""
    import shap.datasets
    from PIL import Image

    shap.datasets.__file__ = str(work / "datasets.py")  # shap caches its downloads beside this file
    pictures, suffixes = shap.datasets.imagenet50()
    folder = work / "pictures"
    folder.mkdir()
    for row, (pixels, suffix) in enumerate(zip(pictures, suffixes, strict=True)):
        Image.fromarray(pixels.round().clip(0, 255).astype("uint8")).save(folder / f"{row:02d}_{int(suffix)}.png")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
