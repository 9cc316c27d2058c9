"""The registries: every entry is complete, and a wrong name, parameter or value says what is possible."""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any, Literal

import pytest

from xai_core.registry import (
    CORRUPTIONS,
    METHODS,
    MODELS,
    PRESETS,
    SCORES,
    Parameters,
    Published,
    Registry,
    Spec,
    parameter,
)
from xai_core.types import Cost, XaiError

REGISTRIES: dict[str, Registry[Spec]] = {"method": METHODS, "score": SCORES, "corruption": CORRUPTIONS}
ENTRIES = [pytest.param(kind, spec, id=f"{kind}-{spec.name}") for kind, one in REGISTRIES.items() for spec in one]
every_entry = pytest.mark.parametrize(("kind", "spec"), ENTRIES)


class Example(Parameters):
    """Parameters of every kind."""

    samples: int = parameter(50, "How many.", unit="images", ge=1, le=1000, step=10)
    level: float = parameter(0.5, "How much.", ge=0, le=1)
    grey: bool = parameter(False, "Without colours.")
    fill: Literal["mean", "black"] = parameter("mean", "What hidden pixels show.")
    layer: str = parameter("auto", "Where.")

    def cost(self) -> Cost:
        return Cost(self.samples, 0)


def example(**facts: Any) -> Spec:
    """A Spec of `Example`."""
    build = f"{__name__}:Example"
    return Spec(name="example", title="An example", summary="", build=build, parameters=Example, **facts)


def sentence_of(error: XaiError) -> str:
    """The error's text, which is one sentence on one line."""
    text = str(error)
    assert text == " ".join(text.split())
    assert text.endswith(".")
    return text


def test_the_registries_hold_what_the_contract_names() -> None:
    assert {"gradcam", "shap", "lime", "smoothgrad", "random", "centre", "sobel"} <= set(METHODS.entries())
    assert {"occlusion", "road", "iou"} <= set(SCORES.entries())
    assert {"gaussian_noise", "occlusion", "resolution"} <= set(CORRUPTIONS.entries())
    assert {"vgg16", "resnet50", "densenet121", "efficientnet_lite0"} <= set(MODELS.entries())


@every_entry
def test_an_entry_has_a_name_a_title_and_a_summary(kind: str, spec: Spec) -> None:
    assert REGISTRIES[kind][spec.name] is spec
    assert spec.name == spec.name.lower().strip()
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.version >= 1


@every_entry
def test_the_build_of_an_entry_resolves_to_its_class(kind: str, spec: Spec) -> None:
    module, _, name = spec.build.partition(":")
    assert getattr(importlib.import_module(module), name) is spec.parameters
    assert issubclass(spec.parameters, Parameters)
    assert spec.parameters.__doc__ != Parameters.__doc__


@every_entry
@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_of_an_entry_are_valid_and_are_what_is_made(kind: str, spec: Spec, preset: str) -> None:
    assert set(spec.presets) <= set(PRESETS)
    made = spec.make(preset=preset)
    assert type(made) is spec.parameters
    assert made.model_dump() == {**spec.parameters().model_dump(), **spec.presets.get(preset, {})}


@every_entry
def test_the_defaults_of_an_entry_lie_within_their_bounds(kind: str, spec: Spec) -> None:
    for option in spec.options:
        assert option.help.endswith("."), option.name
        if option.kind in ("int", "float"):
            assert option.low is None or option.default >= option.low, option.name
            assert option.high is None or option.default <= option.high, option.name
        if option.kind == "choice":
            assert option.default in option.choices, option.name


@every_entry
def test_the_cost_of_an_entry_is_a_count_of_passes(kind: str, spec: Spec) -> None:
    for preset in PRESETS:
        cost = spec.make(preset=preset).cost()
        assert cost.forward >= 0
        assert cost.backward >= 0


@every_entry
def test_no_number_of_an_entry_may_be_infinite_or_no_number(kind: str, spec: Spec) -> None:
    for option in spec.options:
        if option.kind in ("int", "float"):
            for value in ("nan", "inf", "-inf", math.nan, math.inf):
                with pytest.raises(XaiError, match=rf"^{spec.name}\.{option.name}="):
                    spec.make({option.name: value})


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.name) for spec in CORRUPTIONS])
def test_a_corruption_names_its_main_parameter_and_its_neutral_value(spec: Spec) -> None:
    assert spec.primary in spec.parameters.model_fields
    assert getattr(spec.make({spec.primary: spec.neutral}), spec.primary) == spec.neutral


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.name) for spec in SCORES])
def test_a_score_says_what_its_values_mean(spec: Spec) -> None:
    assert spec.values
    assert any(value.headline for value in spec.values.values())
    for value in spec.values.values():
        assert value.title
        assert value.better in ("higher", "lower")
        assert value.low < value.high


@pytest.mark.parametrize("registry", [METHODS, SCORES, CORRUPTIONS, MODELS], ids=lambda one: one.kind)
def test_an_unknown_name_gives_one_sentence_with_what_is_possible(registry: Registry[Any]) -> None:
    with pytest.raises(XaiError) as caught:
        registry["nonsense"]
    text = sentence_of(caught.value)
    assert f"There is no {registry.kind} 'nonsense'" in text
    for name in registry.entries():
        assert name in text
    assert "nonsense" not in registry


def test_a_registry_counts_and_finds_its_entries() -> None:
    assert len(METHODS) == len(list(METHODS)) == len(METHODS.entries())
    assert all(spec.name in METHODS for spec in METHODS)


def test_a_name_is_registered_once() -> None:
    registry: Registry[Spec] = Registry("test entry", "xai_core.corruptions")
    registry.add(example())
    with pytest.raises(ValueError, match="registered twice"):
        registry.add(example())
    del Registry.instances["test entry"]


def test_registering_a_class_makes_its_spec() -> None:
    registry: Registry[Spec] = Registry("test entry", "xai_core.corruptions")
    returned = registry.register("example", title="An example", summary="Nothing.", family="tests")(Example)
    spec = registry["example"]
    assert returned is spec.parameters is Example
    assert (spec.title, spec.family, spec.build) == ("An example", "tests", f"{__name__}:Example")
    del Registry.instances["test entry"]


def test_options_carry_all_that_a_widget_needs() -> None:
    samples, level, grey, fill, layer = example().options
    assert (samples.name, samples.kind, samples.default) == ("samples", "int", 50)
    assert (samples.low, samples.high, samples.step) == (1, 1000, 10)
    assert (samples.unit, samples.help) == ("images", "How many.")
    assert (level.kind, level.low, level.high, level.step, level.unit) == ("float", 0, 1, None, "")
    assert (grey.kind, grey.default) == ("bool", False)
    assert (fill.kind, fill.choices, fill.default) == ("choice", ("mean", "black"), "mean")
    assert (layer.kind, layer.choices, layer.default) == ("text", (), "auto")


def test_presets_change_the_defaults_and_values_change_the_presets() -> None:
    spec = example(presets={"quick": {"samples": 10, "level": 0.25}})
    assert spec.make(preset="quick") == Example(samples=10, level=0.25)
    assert spec.make({"samples": 20}, "quick") == Example(samples=20, level=0.25)
    assert spec.make(preset="balanced") == spec.make() == Example()


def test_a_studys_settings_are_chosen_as_a_preset_is() -> None:
    spec = example(presets={"quick": {"level": 0.25}}, studies={"s9": Published("A study", {"samples": 7})})
    assert spec.make(preset="s9") == Example(samples=7)
    assert spec.make({"level": 0.75}, "s9") == Example(samples=7, level=0.75)
    with pytest.raises(XaiError) as caught:
        spec.make(preset="s8")
    assert sentence_of(caught.value) == "There is no preset 's8'; choose from quick, balanced, paper, s9."


@every_entry
def test_the_studies_of_an_entry_are_valid_and_no_presets(kind: str, spec: Spec) -> None:
    assert not set(spec.studies) & set(PRESETS)
    for name, study in spec.studies.items():
        assert study.title and name.isidentifier()
        assert spec.make(preset=name).model_dump() == {**spec.parameters().model_dump(), **study.values}


def test_text_from_a_command_line_becomes_the_parameters_type() -> None:
    made = example().make({"samples": "7", "level": "0.125", "grey": "true", "fill": "black"})
    assert made == Example(samples=7, level=0.125, grey=True, fill="black")


def test_an_unknown_parameter_gives_one_sentence_with_what_is_possible() -> None:
    with pytest.raises(XaiError) as caught:
        example().make({"sample": 3})
    assert sentence_of(caught.value) == (
        "An example (example) has no parameter 'sample'; it has: samples, level, grey, fill, layer."
    )


def test_an_entry_without_parameters_says_so() -> None:
    bare = Spec(name="bare", title="Bare", summary="", build="", parameters=Parameters)
    with pytest.raises(XaiError, match="it has: none"):
        bare.make({"samples": 3})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"samples": 0}, ["example.samples=0", "1"]),
        ({"samples": "many"}, ["example.samples=many", "integer"]),
        ({"samples": 2.5}, ["example.samples=2.5", "integer"]),
        ({"level": 1.5}, ["example.level=1.5", "less than or equal to 1"]),
        ({"fill": "pink"}, ["example.fill=pink", "mean", "black"]),
        ({"grey": "perhaps"}, ["example.grey=perhaps", "boolean"]),
    ],
)
def test_a_value_that_does_not_fit_gives_one_sentence_with_what_is_possible(
    values: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(XaiError) as caught:
        example().make(values)
    text = sentence_of(caught.value)
    assert all(part in text for part in said), text


def test_an_unknown_preset_gives_one_sentence_with_what_is_possible() -> None:
    with pytest.raises(XaiError) as caught:
        example().make(preset="fast")
    assert sentence_of(caught.value) == "There is no preset 'fast'; choose from quick, balanced, paper."


def test_parameters_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Example().samples = 3  # type: ignore[misc]


@pytest.mark.parametrize("bound", ["gt", "lt"])
def test_bounds_that_a_widget_could_offer_but_not_accept_are_refused(bound: str) -> None:
    class Open(Parameters):
        level: float = parameter(0.5, "How much.", **{bound: 1})

    with pytest.raises(TypeError, match="level"):
        _ = dataclasses.replace(example(), parameters=Open).options
