"""Every `XAI_*` environment variable, with its default and its meaning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .types import XaiError

MEGABYTE = 1_000_000


class Settings(BaseModel):
    """The settings in force; a field `cache_mb` is read from `XAI_CACHE_MB`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("saliency-compare", appauthor=False)),
        description="One folder for cache, weights, downloads and the database.",
    )
    database_url: str = Field(
        "",
        description="PostgreSQL database, postgresql://USER:PASSWORD@HOST/NAME, instead of SQLite in the data folder.",
    )
    models_dir: str = Field("", description="Folders with model cards (YAML) beside the built-in ones, as a path list.")
    imagenet50_dir: Path | None = Field(
        None, description="Folder with the 50 JPEGs of Imagenet50, instead of a download."
    )
    pictures_dir: str = Field("", description="Folders whose pictures appear as galleries, as a path list.")
    weights_mirror: str = Field("", description="Base address to download torchvision's checkpoints from instead.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.")
    threads: int = Field(0, ge=0, description="CPU threads of a computing process; 0 means one per core.")
    batch: int = Field(
        0,
        ge=0,
        description="Images per pass; 0 means measured: on a GPU at first use, on a CPU by `warm`, before that 8.",
    )
    engine: Literal["inline", "local", "ray"] = Field(
        "local",
        description="Where the dashboard computes: local is a worker process, inline its own process, ray Ray actors.",
    )
    ray_actors: int = Field(
        0, ge=0, description="Ray actors that compute; 0 means one per GPU, or where there is none one per CPU core."
    )
    queue: int = Field(500, ge=1, description="Requests that may wait at once; more are refused with a sentence.")
    models_mb: int = Field(4000, ge=1, description="Megabytes of networks that a computing process keeps loaded.")
    cache_mb: int = Field(256, ge=0, description="Megabytes of results kept in memory, per process.")
    disk_cache_mb: int = Field(4000, ge=0, description="Megabytes of results kept on disk; 0 keeps none.")
    max_upload_mb: int = Field(20, ge=1, description="Largest picture file that is accepted, in megabytes.")
    max_megapixels: int = Field(64, ge=1, description="Largest picture that is decoded, in megapixels.")
    sam_weights: Path | None = Field(
        None, description="Weights of Segment Anything for the studio, where its package is installed."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Detail of the log on standard error: debug, info, warning or error."
    )

    @field_validator("log_level", "engine", mode="before")
    @classmethod
    def _lower_case(cls, value: str) -> str:
        return value.strip().lower()

    @field_validator("data", "imagenet50_dir", "sam_weights")
    @classmethod
    def _whole_path(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @property
    def cache_dir(self) -> Path:
        return self.data / "cache"

    @property
    def weights_dir(self) -> Path:
        return self.data / "weights"

    @property
    def cpu_cores(self) -> int:
        """CPU cores that this process may use."""
        return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1

    @property
    def cpu_threads(self) -> int:
        """Threads of a computing process; one per core that it may use where the setting names no number."""
        return self.threads or self.cpu_cores

    @property
    def model_folders(self) -> list[Path]:
        return _path_list(self.models_dir)

    @property
    def picture_folders(self) -> list[Path]:
        return _path_list(self.pictures_dir)


def _path_list(text: str) -> list[Path]:
    return [Path(part).expanduser() for part in text.split(os.pathsep) if part.strip()]


def variable(field: str) -> str:
    """The environment variable of a field."""
    return f"XAI_{field.upper()}"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that these variables ask for; an empty variable counts as unset.

    Raises `XaiError` for a value that does not fit.
    """
    known = {variable(name): name for name in Settings.model_fields}
    given = {key: value for key, value in environment.items() if key in known and value.strip()}
    try:
        return Settings.model_validate({known[key]: value for key, value in given.items()})
    except ValidationError as error:
        first = error.errors()[0]
        name = variable(str(first["loc"][0]))
        raise XaiError(f"The setting {name}={given.get(name)!r} does not fit: {first['msg']}.") from None


def unknown(environment: Mapping[str, str]) -> list[str]:
    """The `XAI_*` variables that are set but mean nothing: most likely misspelt."""
    known = {variable(name) for name in Settings.model_fields}
    return sorted(
        key for key in environment if key.startswith("XAI_") and not key.startswith("XAI_TEST_") and key not in known
    )


def current() -> Settings:
    """The settings of this process's environment, read anew at every call so that tests and tools can change them."""
    return from_environment(os.environ)
