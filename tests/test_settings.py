"""Every `XAI_*` variable: its default, how it is read, and what is said about a value that does not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xai_core import settings
from xai_core.types import XaiError

EXAMPLES: dict[str, tuple[str, object]] = {
    "data": ("/srv/xai", Path("/srv/xai")),
    "database_url": ("postgresql://db.example/masks", "postgresql://db.example/masks"),
    "models_dir": ("/srv/models", "/srv/models"),
    "imagenet50_dir": ("/srv/pictures", Path("/srv/pictures")),
    "pictures_dir": ("/srv/a", "/srv/a"),
    "weights_mirror": ("https://mirror.example/", "https://mirror.example/"),
    "device": ("cuda:1", "cuda:1"),
    "threads": ("3", 3),
    "batch": ("16", 16),
    "engine": ("inline", "inline"),
    "ray_actors": ("2", 2),
    "queue": ("20", 20),
    "models_mb": ("1000", 1000),
    "cache_mb": ("0", 0),
    "disk_cache_mb": ("100", 100),
    "max_upload_mb": ("5", 5),
    "max_megapixels": ("12", 12),
    "sam_weights": ("/srv/sam_vit_b.pth", Path("/srv/sam_vit_b.pth")),
    "log_level": ("debug", "debug"),
}
WRONG: dict[str, str] = {
    "threads": "two",
    "batch": "-1",
    "engine": "cloud",
    "ray_actors": "-1",
    "queue": "0",
    "models_mb": "4 GB",
    "cache_mb": "-5",
    "disk_cache_mb": "1.5",
    "max_upload_mb": "0",
    "max_megapixels": "many",
    "log_level": "loud",
}


def test_there_is_an_example_for_every_setting() -> None:
    assert set(EXAMPLES) == set(settings.Settings.model_fields)


@pytest.mark.parametrize("field", EXAMPLES)
def test_a_variable_sets_its_field_and_no_other(field: str) -> None:
    text, value = EXAMPLES[field]
    found = settings.from_environment({settings.variable(field): text})
    default = settings.from_environment({})
    assert getattr(found, field) == value != getattr(default, field)
    assert found.model_copy(update={field: getattr(default, field)}) == default


@pytest.mark.parametrize("field", EXAMPLES)
def test_an_empty_variable_counts_as_unset(field: str) -> None:
    assert settings.from_environment({settings.variable(field): "  "}) == settings.from_environment({})


@pytest.mark.parametrize("field", WRONG)
def test_a_value_that_does_not_fit_is_one_sentence_that_names_the_variable(field: str) -> None:
    name = settings.variable(field)
    with pytest.raises(XaiError) as caught:
        settings.from_environment({name: WRONG[field]})
    sentence = str(caught.value)
    assert sentence.startswith(f"The setting {name}={WRONG[field]!r} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_the_defaults_are_what_a_laptop_needs() -> None:
    found = settings.from_environment({})
    assert (found.device, found.engine, found.threads, found.batch) == ("auto", "local", 0, 0)
    assert (found.max_upload_mb, found.max_megapixels) == (20, 64)
    assert found.imagenet50_dir is None
    assert found.model_folders == found.picture_folders == []
    assert found.data.is_absolute()


def test_every_setting_says_what_it_means() -> None:
    for name, field in settings.Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_environment_is_read_anew_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_THREADS", "2")
    assert settings.current().threads == 2
    monkeypatch.setenv("XAI_THREADS", "5")
    assert settings.current().threads == 5


def test_path_lists_hold_several_folders(tmp_path: Path) -> None:
    text = os.pathsep.join([str(tmp_path / "a"), "", " ", str(tmp_path / "b c")])
    found = settings.from_environment({"XAI_MODELS_DIR": text, "XAI_PICTURES_DIR": text})
    assert found.model_folders == found.picture_folders == [tmp_path / "a", tmp_path / "b c"]


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = settings.from_environment(
        {"XAI_DATA": "~/data", "XAI_IMAGENET50_DIR": "~/fifty", "XAI_MODELS_DIR": "~/models", "XAI_PICTURES_DIR": "~"}
    )
    assert found.data == tmp_path / "data"
    assert found.imagenet50_dir == tmp_path / "fifty"
    assert found.model_folders == [tmp_path / "models"]
    assert found.picture_folders == [tmp_path]


def test_a_relative_data_folder_means_the_same_for_a_process_started_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.from_environment({"XAI_DATA": "data"}).data == tmp_path / "data"


def test_cache_and_weights_lie_in_the_data_folder(tmp_path: Path) -> None:
    found = settings.from_environment({"XAI_DATA": str(tmp_path)})
    assert found.cache_dir == tmp_path / "cache"
    assert found.weights_dir == tmp_path / "weights"


def test_words_may_be_written_in_capitals() -> None:
    found = settings.from_environment({"XAI_LOG_LEVEL": "INFO", "XAI_ENGINE": " Inline "})
    assert (found.log_level, found.engine) == ("info", "inline")


def test_misspelt_variables_are_found() -> None:
    environment = {"XAI_THREDS": "2", "XAI_THREADS": "2", "XAI_TEST_SHARED": "/srv", "HOME": "/root", "XAI_A": ""}
    assert settings.unknown(environment) == ["XAI_A", "XAI_THREDS"]


def test_settings_cannot_be_changed_in_place() -> None:
    found = settings.from_environment({})
    with pytest.raises(ValueError, match="frozen"):
        found.threads = 4  # type: ignore[misc]


def test_threads_are_one_per_core_also_where_the_system_knows_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.from_environment({"XAI_THREADS": "3"}).cpu_threads == 3
    assert settings.from_environment({}).cpu_threads >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert settings.from_environment({}).cpu_threads == os.cpu_count()
