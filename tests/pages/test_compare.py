"""The Compare page without a browser: every state that it can be in, and that it never shows a traceback."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from xai_core.registry import CORRUPTIONS, METHODS, SCORES

PAGE = str(ROOT / "app.py")


@pytest.fixture
def page(tiny_card: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page on the tiny model, computing in this process."""
    import streamlit as st

    monkeypatch.setenv("XAI_ENGINE", "inline")
    st.cache_resource.clear()
    test = AppTest.from_file(PAGE, default_timeout=120)
    test.session_state["models"] = ["tiny"]
    return test


def texts(test: AppTest) -> str:
    """All that the page says."""
    elements = [*test.markdown, *test.caption, *test.info, *test.warning, *test.error, *test.subheader]
    return "\n".join(str(element.value) for element in elements)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def upload(test: AppTest, data: bytes, name: str = "mine.png") -> AppTest:
    """Chooses Upload and puts a file there."""
    test.run()
    test.segmented_control(key="source").set_value("upload").run()
    return test.file_uploader(key="upload").set_value((name, data, "image/png")).run()


def test_an_upload_is_drawn_on_in_the_studio_until_it_is_taken_away(page: AppTest) -> None:
    upload(page, png(np.zeros((30, 40, 3), dtype=np.uint8)))
    page.switch_page("pages/annotate.py").run()
    page.text_input(key="annotator").set_value("Ann").run()
    assert "mine.png · 40 x 30 pixels" in texts(page)
    assert "Choose a picture" not in texts(page)


def test_the_page_computes_its_default_view(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert not page.error
    assert "Curves" in texts(page)
    assert "Done: " in texts(page)


def test_two_maps_are_compared_with_each_other_and_one_with_none(page: AppTest) -> None:
    page.session_state["methods"] = ["gradcam", "gradient", "constant"]
    page.run()
    assert "Agreement between methods" in texts(page)
    assert "Mean disagreement" in texts(page)
    page.multiselect(key="methods").set_value(["gradcam"]).run()
    assert "Agreement between methods" not in texts(page)
    assert not page.exception


def test_every_parameter_of_every_method_and_score_has_a_widget(page: AppTest) -> None:
    page.session_state["methods"] = list(METHODS.entries())
    page.session_state["scores"] = list(SCORES.entries())
    page.run()
    keys = {widget.key for kind in (page.selectbox, page.number_input, page.text_input, page.toggle) for widget in kind}
    assert not page.exception
    for kind, registry in (("", METHODS), ("score.", SCORES)):
        for spec in registry:
            for option in spec.options:
                if option.name != "implementation":
                    assert f"{kind}{spec.name}.{option.name}.quick" in keys


def test_corruptions_are_picked_from_families_in_the_order_of_picking(page: AppTest) -> None:
    page.run()
    first = ["corruption.gaussian_noise", "corruption.occlusion", "corruption.resolution"]
    assert [one.key for one in page.slider if str(one.key).startswith("corruption.")] == first
    page.pills(key="corruptions.imagenetc_blur").set_value(["imagenetc_zoom_blur", "imagenetc_defocus_blur"]).run()
    page.pills(key="corruptions.quality").set_value(["occlusion"]).run()
    page.pills(key="corruptions.light").set_value(["contrast"]).run()
    assert not page.exception
    picked = ["occlusion", "imagenetc_zoom_blur", "imagenetc_defocus_blur", "contrast"]
    assert page.multiselect(key="corruptions").value == picked
    assert "moves pixels" not in texts(page)
    page.slider(key="corruption.imagenetc_zoom_blur").set_value(2).run()
    assert not page.exception and not page.error
    assert "ImageNet-C zoom blur moves pixels" in texts(page)
    page.multiselect(key="corruptions").set_value(["occlusion"]).run()
    assert page.pills(key="corruptions.imagenetc_blur").value == []
    assert "moves pixels" not in texts(page)


def test_every_corruption_has_a_slider_and_widgets_for_all_its_parameters(page: AppTest) -> None:
    page.session_state["corruptions"] = list(CORRUPTIONS.entries())
    page.run()
    assert not page.exception and not page.error
    assert {f"corruption.{spec.name}" for spec in CORRUPTIONS} <= {slider.key for slider in page.slider}
    keys = {widget.key for kind in (page.selectbox, page.number_input) for widget in kind}
    for spec in CORRUPTIONS:
        assert {f"corruption.{spec.name}.{one.name}" for one in spec.options if one.name != spec.primary} <= keys


def test_the_presets_set_the_counts_and_the_page_shows_them(page: AppTest) -> None:
    page.run()
    assert f"LIME {METHODS['lime'].make({}, 'quick').samples}" in texts(page)
    page.session_state["methods"] = ["smoothgrad"]
    page.segmented_control(key="preset").set_value("paper").run()
    assert page.number_input(key="smoothgrad.samples.paper").value == 50
    assert "SmoothGrad 50" in texts(page)


def test_a_method_can_start_from_what_a_study_set(page: AppTest) -> None:
    page.session_state["methods"] = ["lime"]
    page.run()
    assert page.number_input(key="lime.samples.quick").value == 128
    page.selectbox(key="lime.start.quick").set_value("s0").run()
    assert not page.exception and not page.error
    assert page.number_input(key="lime.samples.s0").value == 50
    assert page.selectbox(key="lime.sampling.s0").value == "plain"
    assert "LIME 50" in texts(page)


def test_a_slider_changes_the_prediction(page: AppTest) -> None:
    from pages.parts import backend

    page.run()
    before = len(list(Path(backend.engine().executor.cache._folder).glob("??/*")))  # type: ignore[attr-defined]
    page.slider(key="corruption.gaussian_noise").set_value(60.0).run()
    assert not page.exception
    after = len(list(Path(backend.engine().executor.cache._folder).glob("??/*")))  # type: ignore[attr-defined]
    assert after > before


def test_without_models_or_methods_the_page_says_what_to_do(page: AppTest) -> None:
    page.session_state["models"] = []
    page.run()
    assert "Choose a model" in texts(page)
    page.multiselect(key="models").set_value(["tiny"]).run()
    page.multiselect(key="methods").set_value([]).run()
    assert "Choose a method" in texts(page)
    assert not page.exception


def test_imagenet50_that_is_not_here_says_how_to_get_it(page: AppTest) -> None:
    page.run()
    page.segmented_control(key="source").set_value("imagenet50").run()
    assert "XAI_IMAGENET50_DIR" in texts(page)
    assert any(button.label == "Download Imagenet50" for button in page.button)
    assert not page.exception


def test_a_model_that_is_not_here_offers_its_download_with_its_size(page: AppTest) -> None:
    page.session_state["models"] = ["vgg16", "tiny"]
    page.run()
    assert "VGG-16" in texts(page) and "553 MB" in texts(page)
    assert any(button.label == "Download" for button in page.button)
    assert "Done: " in texts(page), "the other model works"
    assert not page.exception


def test_an_uploaded_picture_is_explained_and_a_mask_gives_iou(page: AppTest) -> None:
    rng = np.random.default_rng(0)
    upload(page, png(rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)))
    assert "60 x 50 pixels" in texts(page)
    mask = np.zeros((50, 60), dtype=np.uint8)
    mask[10:30, 20:40] = 255
    page.file_uploader(key="mask").set_value(("mask.png", png(mask), "image/png")).run()
    assert "13% of the picture is object" in texts(page)
    assert not page.exception and not page.error


@pytest.mark.parametrize("data", [b"", b"this is no picture", png(np.zeros((9, 9, 3), dtype=np.uint8))[:40]])
def test_a_broken_upload_is_answered_with_one_sentence(page: AppTest, data: bytes) -> None:
    upload(page, data)
    assert len(page.error) == 1
    assert page.error[0].value.startswith("mine.png")
    assert not page.exception


def test_a_mask_of_another_size_is_answered_with_one_sentence(page: AppTest) -> None:
    page.session_state["gallery.photos.kept"] = "moon.png"
    page.run()
    page.file_uploader(key="mask").set_value(("mask.png", png(np.full((9, 9), 255, np.uint8)), "image/png")).run()
    assert len(page.error) == 1
    assert "9 x 9" in page.error[0].value
    assert not page.exception


def test_a_wrong_layer_is_answered_with_one_sentence_and_the_other_maps_stand(page: AppTest) -> None:
    page.run()
    page.text_input(key="gradcam.layer.quick").set_value("no.such.layer").run()
    assert any("no.such.layer" in error.value for error in page.error)
    assert not page.exception
    assert "Curves" in texts(page)


def test_a_broken_model_card_is_reported_and_the_page_works(page: AppTest, tiny_card: Path) -> None:
    (tiny_card.parent / "broken.yaml").write_text("name: [")
    page.run()
    assert any("broken.yaml" in warning.value for warning in page.warning)
    assert "Done: " in texts(page)


def test_the_reference_library_stands_beside_our_map_with_their_agreement(page: AppTest) -> None:
    from pages.parts import components

    shown = {}
    original = components.grid
    components.grid = lambda data, key: shown.update(data)  # type: ignore[assignment]
    try:
        page.session_state["methods"] = ["gradcam"]
        page.run()
        page.toggle(key="gradcam.reference").set_value(True).run()
    finally:
        components.grid = original
    names = [column["name"] for column in shown["columns"]]
    assert names == ["gradcam", "gradcam@grad-cam"]
    notes = shown["rows"][0]["cells"][1]["notes"]
    assert any(note.startswith("Rank correlation with ours: 1.00") for note in notes)


def test_the_dashboards_process_never_imports_torch(tmp_path: Path) -> None:
    code = f"""
import sys, time
from streamlit.testing.v1 import AppTest
test = AppTest.from_file({PAGE!r}, default_timeout=120)
test.session_state["methods"] = ["gradcam", "lime"]
for _ in range(200):
    test.run()
    assert not test.exception
    if any("Done" in caption.value for caption in test.caption):
        break
    time.sleep(0.5)
else:
    raise SystemExit("the page never finished")
heavy = {{"torch", "torchvision", "timm", "captum", "shap", "lime", "skimage"}} & set(sys.modules)
raise SystemExit(f"imported: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_background_that_is_not_here_fails_its_own_map_only(page: AppTest) -> None:
    page.run()
    page.selectbox(key="shap.background.quick").set_value("imagenet50").run()
    assert any("imagenet50" in error.value for error in page.error)
    assert not page.exception
    assert "Curves" in texts(page)


def test_the_smallest_value_of_every_number_widget_is_accepted(page: AppTest) -> None:
    page.run()
    numbers = [widget for widget in page.number_input if widget.min is not None and widget.key != "seed"]
    assert len(numbers) > 8
    for widget in numbers:
        widget.set_value(widget.min)
    page.run()
    assert not page.exception and not page.error
