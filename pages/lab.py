"""The perturbation lab: S3's pipeline taken apart, stage by stage, several pipelines side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import streamlit as st

from pages.parts import backend, components, forms, live, picture, progress
from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.following import Standing, follow
from xai_core.explainers.pipeline import RECIPES, Pipeline
from xai_core.registry import METHODS, SCORES
from xai_core.render import charts
from xai_core.render import pipeline as drawing
from xai_core.render.encoding import photo_uri
from xai_core.render.numbers import directed, duration, number
from xai_core.types import Picture, Pixels, XaiError, array_digest

SPEC = METHODS["pipeline"]
OPTIONS = {option.name: option for option in SPEC.options}
LETTERS = "ABCD"
EXAMPLES = 4
"""Samples that are shown of every pipeline."""
ONE_BY_ONE = ("only_one", "all_but_one")
WIDE = ("sampling", "fill")
"""Stages that show several pictures."""
STAGES = {
    "segmentation": ("1 · Segmentation", "How the picture is cut."),
    "smoothing": ("2 · Smoothing", "How far segments reach into each other, shown for the one in the middle."),
    "sampling": ("3 · Sampling", "Which segments stay (white) in the first samples."),
    "fill": ("4 · Fill", "What shows where segments are hidden, and the probability of the class then."),
    "attribution": ("5 · Attribution", "What is made of all probabilities: a number for every segment."),
    "map": ("6 · Map", "The numbers spread over the pixels."),
}


@dataclass(frozen=True)
class Place:
    """Where a stage of a pipeline stands: its widgets, and its pictures."""

    words: Any
    pictures: Any


Layout = dict[str, dict[str, Place]]
"""By stage and pipeline."""


def main() -> None:
    components.inside_app()
    with st.sidebar:
        chosen = picture.choose()
        card = forms.ready_model("Model", key="lab.model")
        target = forms.class_choice(
            "Explained class", card.labels if card else (), "The model's top class", "Type to search.", key="lab.target"
        )
        seed = int(st.number_input("Seed", 0, 2**31, 0, key="lab.seed", help="Everything random follows from it."))
    st.title("Perturbation lab")
    st.caption(
        "RISE, LIME, KernelSHAP, prediction difference and CIU are one pipeline with different stages. Change a stage, "
        "and see what it makes and what it does to the map."
    )
    if chosen is None or card is None:
        st.info("Choose a picture and a model on the left to begin.", icon=":material/image:")
        backend.engine().want(backend.session(), [])
        return
    live.while_pending(lambda: _bench(chosen, card, target, seed), "lab")


def _bench(chosen: Picture, card: Card, target: int | None, seed: int) -> bool:
    """All pipelines with all their stages; returns whether something is still computed."""
    letters: list[str] = st.session_state.setdefault("lab.letters", ["A", "B"])
    bar = st.container()
    heads = dict(zip(letters, st.columns(len(letters), gap="medium"), strict=True))
    layout: Layout = {}
    for stage, (title, words) in STAGES.items():
        st.markdown(f"##### {title}", help=words)
        columns = st.columns(len(letters), gap="medium")
        beside = len(letters) <= 2 and stage not in WIDE
        layout[stage] = {letter: _place(column, beside) for letter, column in zip(letters, columns, strict=True)}
    parameters = {letter: _choices(letter, heads[letter], layout) for letter in letters}
    variants = [Variant("pipeline", made, letter) for letter, made in parameters.items()]
    comparison = Comparison(chosen, [card], variants, scores={"srg": SCORES["srg"].make()}, target=target, seed=seed)
    try:
        standing = follow(comparison, backend.engine(), backend.session())
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return False
    with bar:
        progress.line(standing)
    frame = comparison.inputs[card.name].frame
    for variant in variants:
        _pictures(variant, standing, card, frame, seed, layout)
    _results(standing, card, variants)
    return standing.pending


def _place(column: Any, beside: bool) -> Place:
    """Pictures to the left of the widgets, or under them where there is no room."""
    with column:
        if beside:
            pictures, words = st.columns(2, gap="small")
            return Place(words, pictures)
        return Place(st.container(), st.container())


# -- what is chosen ----------------------------------------------------------------------------------------------------


def _choices(letter: str, head: Any, layout: Layout) -> Pipeline:
    """The widgets of one pipeline, each at its stage."""
    with head:
        recipe = _recipe(letter)
    start = cast(Pipeline, SPEC.make(RECIPES[recipe], "quick"))
    values: dict[str, Any] = {}

    def widget(name: str, disabled: bool = False, **changes: Any) -> Any:
        option = replace(OPTIONS[name], **changes)
        value = getattr(start, name)
        if option.choices and value not in option.choices:
            value = option.choices[0]
        key = f"lab.{letter}.{recipe}.{name}.{len(option.choices)}"
        values[name] = forms.widget(option, value, key, disabled)
        return values[name]

    with layout["segmentation"][letter].words:
        widget("segmentation")
        widget("segments", disabled=values["segmentation"] == "quickshift", unit="")
    with layout["smoothing"][letter].words:
        widget("smoothing")
        widget("sigma", disabled=values["smoothing"] != "gaussian", unit="px")
    with layout["sampling"][letter].words:
        left, right = st.columns([3, 2])
        with left:
            widget("sampling")
        planned = values["sampling"] in ONE_BY_ONE
        with right:
            widget("samples", disabled=planned, unit="")
    with layout["fill"][letter].words:
        widget("fill")
    with layout["attribution"][letter].words:
        possible = OPTIONS["attribution"].choices
        widget("attribution", choices=possible if planned else tuple(one for one in possible if one != "ciu"))
    with layout["map"][letter].words:
        widget("map_per")
    return cast(Pipeline, SPEC.make(values, "quick"))


def _recipe(letter: str) -> str:
    """What the pipeline starts from, and the buttons to add and remove one."""
    letters: list[str] = st.session_state["lab.letters"]
    name, add, remove = st.columns([5, 1, 1], vertical_alignment="bottom")
    recipes = list(RECIPES)
    recipe = name.selectbox(
        f"Pipeline {letter} starts from",
        recipes,
        index=LETTERS.index(letter) % len(recipes),
        help="Every stage below can then be changed by itself.",
        key=f"lab.{letter}.recipe",
    )
    free = [one for one in LETTERS if one not in letters]
    if letter == letters[-1]:
        add.button(
            "",
            icon=":material/add:",
            help="Add a pipeline",
            key=f"lab.add.{letter}",
            disabled=not free,
            width="stretch",
            on_click=lambda: letters.append(free[0]),
        )
    remove.button(
        "",
        icon=":material/close:",
        help="Remove this pipeline",
        key=f"lab.remove.{letter}",
        disabled=len(letters) == 1,
        width="stretch",
        on_click=lambda: letters.remove(letter),
    )
    return str(recipe)


# -- what the stages made ----------------------------------------------------------------------------------------------


@st.cache_data(max_entries=128, show_spinner=False)
def _made(digest: str, parameters: Mapping[str, Any], seed: int, _frame: Pixels) -> dict[str, Any]:
    """What the stages before the network made, as words and data URIs; once for a frame, parameters and seed."""
    stages = Pipeline(**parameters).stages(_frame, seed)
    shown = min(EXAMPLES, len(stages.keep))
    middle = stages.soft[drawing.middle_segment(stages.labels)]
    return {
        "segments": photo_uri(drawing.segments_picture(_frame, stages.labels)),
        "segments_words": f"{len(stages.soft)} segments",
        "ownership": photo_uri(drawing.ownership_picture(_frame, middle)),
        "masks": [photo_uri(one) for one in drawing.mask_pictures(stages, shown)],
        "masks_words": f"{len(stages.keep)} samples",
        "perturbed": [photo_uri(one) for one in drawing.perturbed_pictures(stages, shown)],
    }


@st.cache_data(max_entries=256, show_spinner=False)
def _answered(key: str, parameters: Mapping[str, Any], seed: int, _frame: Pixels, _saliency: Any) -> tuple[str, str]:
    """The segments in the colours of their numbers, and the map; made once for a map's key."""
    labels = Pipeline(**parameters).labels(_frame)
    scores = drawing.scores_picture(_frame, labels, _saliency.details["scores"], _saliency.signed)
    return photo_uri(scores), photo_uri(drawing.map_picture(_frame, _saliency.values, _saliency.signed))


def _pictures(variant: Variant, standing: Standing, card: Card, frame: Pixels, seed: int, layout: Layout) -> None:
    letter, chosen = variant.label, variant.parameters.model_dump()
    made = _made(array_digest(frame), chosen, seed, frame)
    saliency = standing.outcome.maps.get((card.name, variant.name))
    components.strip(layout["segmentation"][letter].pictures, [made["segments"]], [made["segments_words"]])
    components.strip(layout["smoothing"][letter].pictures, [made["ownership"]], [""])
    components.strip(layout["sampling"][letter].pictures, made["masks"], [""] * len(made["masks"]), made["masks_words"])
    words, whole = [""] * len(made["perturbed"]), ""
    if saliency is not None:
        words = [f"{one:.1%}" for one in saliency.details["probabilities"][: len(words)].tolist()]
        whole = f"The whole picture: {float(saliency.details['whole'][0]):.1%}"
    components.strip(layout["fill"][letter].pictures, made["perturbed"], words, whole)
    if saliency is not None:
        scores, shown = _answered(saliency.key, chosen, seed, frame, saliency)
        numbers = saliency.details["scores"]
        ends = f"from {number(float(numbers.min()))} to {number(float(numbers.max()))}"
        components.strip(layout["attribution"][letter].pictures, [scores], [ends])
        made_of = f"{saliency.passes.forward} passes, {duration(saliency.seconds)}"
        components.strip(layout["map"][letter].pictures, [shown], [" ".join([made_of, *saliency.notes])])
        return
    job = standing.jobs.get(("map", card.name, variant.name))
    message = "waiting"
    if job is not None:
        message = {"running": f"{job.done} of {job.total} passes", "failed": job.error, "cancelled": "stopped"}.get(
            job.state, message
        )
    partial = None if job is None else job.partial
    shown = "" if partial is None else photo_uri(drawing.map_picture(frame, partial.values, partial.signed))
    components.strip(layout["attribution"][letter].pictures, [""], [""], empty=message)
    components.strip(layout["map"][letter].pictures, [shown], [message if shown else ""], empty=message)


# -- which is better ---------------------------------------------------------------------------------------------------


def _results(standing: Standing, card: Card, variants: Sequence[Variant]) -> None:
    st.markdown("##### 7 · Which map orders the pixels best", help=SCORES["srg"].summary)
    outcome = standing.outcome
    titles = {variant.name: f"Pipeline {variant.label}" for variant in variants}
    rows = []
    for variant in [*variants, *outcome.comparison.baselines]:
        score = outcome.scores.get((card.name, variant.name, "srg"))
        saliency = outcome.maps.get((card.name, variant.name))
        row = {"map": titles.get(variant.name, METHODS[variant.method].title)}
        for part, value in SCORES["srg"].values.items():
            row[directed(value)] = "" if score is None else number(score.values[part])
        row["passes"] = "" if saliency is None else str(saliency.passes.forward)
        row["time"] = "" if saliency is None else duration(saliency.seconds)
        rows.append(row)
    left, right = st.columns(2, gap="medium")
    left.dataframe(rows, hide_index=True, width="stretch", key="lab_scores")
    left.caption("The last three are no explanations; a map that is not above them tells nothing.")
    curves = charts.removal_curves(outcome, "srg", titles)
    if curves is not None:
        right.plotly_chart(curves, width="stretch", key="lab_curves", config={"displayModeBar": False})


main()
