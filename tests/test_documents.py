"""The documents name what there is."""

from __future__ import annotations

import re

from xai_core.settings import Settings, variable

from .conftest import ROOT


def test_every_setting_is_documented_with_its_meaning() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().replace("`", "")
    for name, field in Settings.model_fields.items():
        line = next((line for line in text.splitlines() if line.startswith(f"| {variable(name)} |")), None)
        assert line is not None, variable(name)
        assert str(field.description).rstrip(".").split(":")[0] in line


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {variable(name) for name in Settings.model_fields}
    for path in (ROOT / "README.md", ROOT / "docs" / "architecture.md"):
        assert set(re.findall(r"XAI_[A-Z0-9_]+", path.read_text())) <= known, path


def test_files_that_the_documents_name_exist() -> None:
    for path in (ROOT / "README.md", ROOT / "docs" / "architecture.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
