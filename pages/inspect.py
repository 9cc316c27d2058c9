"""Inspect: one map against its picture, a region against others, seeds, parameter values and randomised networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import streamlit as st

from pages.parts import backend, components, forms, live, masks, picture, progress, taken
from xai_core.classifiers.cards import Card
from xai_core.corruptions.chain import Step, label
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.following import Place, Standing, follow
from xai_core.engine.requests import Action, Explain, Probe, Request, Survey, evaluate
from xai_core.registry import METHODS, SCORES, Option, Parameters, Spec
from xai_core.render import charts
from xai_core.render.encoding import photo_uri
from xai_core.render.grid import Look, grid, map_cell
from xai_core.render.numbers import number
from xai_core.render.pipeline import map_picture
from xai_core.render.probing import sentences
from xai_core.scores.randomisation import verdict
from xai_core.scores.ranking import rank_correlation
from xai_core.types import Blocks, Mask, Picture, Pixels, Probed, Randomised, Region, SaliencyMap, Score, XaiError

VIEWS = {"region": "Region", "seeds": "Seeds", "sweep": "Parameter", "randomised": "Randomised network"}
ACTIONS: dict[Action, str] = {"hide": "Hide", "blur": "Blur", "keep": "Keep only"}
PLACES = 50
"""Random regions that a region is compared with."""
SEEDS = 5
VALUES = 5
"""Values of a parameter at most."""
SIDES = ("top", "left", "height", "width")

Requests = Mapping[Place, Request]


@dataclass(frozen=True)
class Wish:
    """What the sidebar says."""

    picture: Picture
    card: Card
    parameters: Parameters
    spec: Spec
    preset: str
    target: int | None
    against: int | None
    seed: int
    mask: Mask | None
    corruptions: tuple[Step, ...] = ()

    @property
    def variant(self) -> Variant:
        return Variant(self.spec.name, self.parameters)

    @property
    def comparison(self) -> Comparison:
        scores = {} if self.mask is None else {"iou": SCORES["iou"].make()}
        return Comparison(
            self.picture,
            [self.card],
            [self.variant],
            self.corruptions,
            scores=scores,
            mask=self.mask,
            target=self.target,
            seed=self.seed,
            against=self.against,
        )


@dataclass(frozen=True)
class View:
    """One way to look at the map: what it asks for beside the map, by the explained class, and how that is shown."""

    requests: Callable[[Explain], Requests]
    show: Callable[[Standing], None]
    region: Region | None = None
    action: Action = "hide"
    instead: tuple[Place, str] | None = None
    """Another map that is shown large, and its title."""


def main() -> None:
    components.inside_app()
    if "inspect.clicked" in st.session_state:
        st.session_state["inspect.target"] = st.session_state.pop("inspect.clicked")
    with st.sidebar:
        chosen = picture.choose()
        card = forms.ready_model("Model", key="inspect.model")
        wish = None if chosen is None or card is None else _wish(chosen, card)
    if wish is None:
        st.info("Choose a picture and a model on the left to begin.", icon=":material/image:")
        backend.engine().want(backend.session(), [])
        return
    live.while_pending(lambda: _bench(wish), "inspect")


def _wish(chosen: Picture, card: Card) -> Wish:
    method = st.selectbox(
        "Method",
        METHODS.entries(),
        index=list(METHODS.entries()).index(next(iter(taken.methods()), "gradcam")),
        format_func=lambda name: METHODS[name].title,
        key="inspect.method",
    )
    spec = METHODS[str(method)]
    preset = forms.effort("inspect.preset")
    parameters = _parameters(spec, preset, card)
    corruptions = taken.steps()
    if corruptions and not st.toggle(f"Corrupted by {label(corruptions)}", value=True, key="inspect.corrupted"):
        corruptions = ()
    target = forms.class_choice(
        "Explained class", card.labels, "The model's top class", "Type to search.", key="inspect.target"
    )
    against = None
    if spec.contrasts:
        help_ = "Why the one class and not the other: the difference of the two logits is explained."
        against = forms.class_choice("and not", card.labels, "No class in particular", help_, key="inspect.against")
    seed = int(
        st.number_input(
            "Seed", 0, taken.MOST_SEED, taken.seed(), key="inspect.seed", help="Everything random follows from it."
        )
    )
    mask = masks.choose(chosen).mask
    return Wish(chosen, card, parameters, spec, preset, target, against, seed, mask, corruptions)


def _parameters(spec: Spec, preset: str, card: Card) -> Parameters:
    """The method's widgets, where a layer is chosen from the network's stages, or typed."""
    if not spec.options:
        return spec.make()
    with st.expander("Parameters", icon=":material/tune:", expanded="layer" in spec.parameters.model_fields):
        if "layer" not in spec.parameters.model_fields:
            skip = frozenset({"implementation"})
            return forms.parameters(spec, preset, skip, kind="inspect.", given=taken.values(spec.name))
        first = str(spec.make(taken.values(spec.name), preset).model_dump()["layer"])
        layer = st.selectbox(
            "Layer",
            list(dict.fromkeys([first, *card.layers])),
            accept_new_options=True,
            help=next(option.help for option in spec.options if option.name == "layer"),
            key=f"inspect.{spec.name}.layer.{card.name}",
        )
        skip = frozenset({"implementation", "layer"})
        others = forms.parameters(spec, preset, skip, kind="inspect.", given=taken.values(spec.name))
        return spec.make({**others.model_dump(), "layer": layer or first}, preset)


# -- the page ----------------------------------------------------------------------------------------------------------


def _bench(wish: Wish) -> bool:
    """The map, the picture, and the chosen view; returns whether something is still computed."""
    bar, stage = st.container(), st.container()
    name = st.segmented_control(
        "What to look at",
        list(VIEWS),
        default="region",
        required=True,
        format_func=VIEWS.get,
        label_visibility="collapsed",
        key="inspect.view",
    )
    make = {"region": _region, "seeds": _seeds, "sweep": _sweep, "randomised": _randomised}[str(name)]
    comparison = wish.comparison
    try:
        view = make(wish, comparison)

        def more(targets: Mapping[str, int]) -> Requests:
            return view.requests(comparison.explanation(wish.card, wish.variant, targets[wish.card.name]))

        standing = follow(comparison, backend.engine(), backend.session(), more=more)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return False
    with bar:
        progress.line(standing)
    with stage:
        _stage(wish, standing, view)
    view.show(standing)
    return standing.pending


def _stage(wish: Wish, standing: Standing, view: View) -> None:
    """The picture and the map, linked."""
    frame = standing.outcome.comparison.inputs[wish.card.name].frame
    look = Look()
    data = grid(standing, look)
    if view.instead is not None:
        place, title = view.instead
        data["rows"][0]["cells"] = [map_cell(wish.spec.name, title, standing.jobs.get(place), look)]
    data["size"] = frame.shape[:2]
    data["region"] = None if view.region is None else [getattr(view.region, side) for side in SIDES]
    data["action"] = view.action
    data["hidden"] = [round(255 * one) for one in wish.card.preprocess.mean]

    def draw(region: Sequence[int]) -> None:
        _kept(frame).update(zip(SIDES, region, strict=True))
        st.session_state["inspect.drawn"] = st.session_state.get("inspect.drawn", 0) + 1

    clicked = components.inspector(data, "inspector", draw)
    if clicked is not None:
        st.session_state["inspect.clicked"] = clicked
        st.rerun()


def _found(standing: Standing, *place: str) -> Any:
    """The result at a place, or None while there is none."""
    job = standing.jobs.get(place)
    return None if job is None else job.result


def _pictures(
    standing: Standing,
    places: Sequence[Place],
    words: Sequence[str],
    frame: Pixels,
    below: str = "",
    last: tuple[str, str] | None = None,
) -> None:
    """The maps at these places in a row, and a `last` picture with its words; where a map is missing stands how far it
    is."""
    uris, captions, messages = [], [], []
    for place, text in zip(places, words, strict=True):
        job = standing.jobs.get(place)
        result = None if job is None else job.result
        uris.append(components.map_uri(result.key, frame, result) if isinstance(result, SaliencyMap) else "")
        captions.append(text)
        if job is None:
            messages.append("")
        elif job.state == "running":
            messages.append(f"{job.done} of {job.total} passes")
        else:
            messages.append({"failed": job.error, "cancelled": "stopped"}.get(job.state, "waiting"))
    if last is not None:
        uris, captions, messages = [*uris, last[0]], [*captions, last[1]], [*messages, "waiting"]
    components.strip(st, uris, captions, below, messages)


# -- a region ----------------------------------------------------------------------------------------------------------


def _kept(frame: Pixels) -> dict[str, int]:
    """The region in frames of this size, which begins in the middle."""
    height, width = frame.shape[:2]
    middle = {"top": height // 3, "left": width // 3, "height": height // 3, "width": width // 3}
    kept: dict[str, int] = st.session_state.setdefault(f"inspect.region.{height}x{width}", middle)
    return kept


def _region(wish: Wish, comparison: Comparison) -> View:
    frame = comparison.inputs[wish.card.name].frame
    height, width = frame.shape[:2]
    kept, drawn = _kept(frame), st.session_state.get("inspect.drawn", 0)
    left, right = st.columns([2, 3], gap="large")
    with left:
        action = st.segmented_control(
            "What happens to the region",
            list(ACTIONS),
            default="hide",
            required=True,
            format_func=ACTIONS.get,
            label_visibility="collapsed",
            help="What is hidden shows the model's mean colour; the blur has a sigma of 10 pixels.",
            key="inspect.action",
            width="stretch",
        )
        fields = st.columns(4, gap="small")
        bounds = ((0, height - 1), (0, width - 1), (1, height), (1, width))
        for field, side, (low, high) in zip(fields, SIDES, bounds, strict=True):
            key = f"inspect.{side}.{height}x{width}.{drawn}"  # what is drawn gets new fields
            kept[side] = int(field.number_input(side.capitalize(), low, high, kept[side], key=key))
        st.caption("Drag over the picture or the map to draw a region, or type where it is, in the model's pixels.")
    top, left_ = kept["top"], kept["left"]
    region = Region(top, left_, min(kept["height"], height - top), min(kept["width"], width - left_))

    def requests(base: Explain) -> Requests:
        return {("probe",): Probe(base.input, base.target, region, action, PLACES, wish.seed)}

    def show(standing: Standing) -> None:
        with right:
            _effect(standing, wish.card, action)

    return View(requests, show, region, action)


def _effect(standing: Standing, card: Card, action: Action) -> None:
    found, job = _found(standing, "probe"), standing.jobs.get(("probe",))
    box = st.container(height=290, border=False, key="effect")
    if isinstance(found, Probed):
        box.markdown(f"**{sentences(found, action, card.labels[standing.outcome.targets[card.name]])}**")
        chart = charts.probe_chart(found, "this region")
        box.plotly_chart(chart, width="stretch", key="probe_chart", config={"displayModeBar": False})
    elif job is not None and job.state == "failed":
        box.error(job.error, icon=":material/error:")
    else:
        box.caption("What the region does is computed after the map.")


# -- seeds -------------------------------------------------------------------------------------------------------------


def _seeds(wish: Wish, comparison: Comparison) -> View:
    frame = comparison.inputs[wish.card.name].frame
    places = [("map", wish.card.name, wish.variant.name), *[("seed", str(wish.seed + one)) for one in range(1, SEEDS)]]

    def requests(base: Explain) -> Requests:
        return {place: replace(base, seed=int(place[1])) for place in places[1:]}

    def show(standing: Standing) -> None:
        maps = [one for place in places if isinstance(one := _found(standing, *place), SaliencyMap)]
        words = [f"seed {wish.seed + one}" for one in range(SEEDS)]
        whole = len(maps) == SEEDS
        st.markdown(_spread_words(maps) if whole else f"{SEEDS} maps that differ in nothing but the seed.")
        uri = _spread(":".join(one.key for one in maps), frame, maps) if whole else ""
        _pictures(standing, places, words, frame, last=(uri, "standard deviation"))

    return View(requests, show)


@st.cache_data(max_entries=64, show_spinner=False)
def _spread(key: str, _frame: Pixels, _maps: Sequence[SaliencyMap]) -> str:
    """The standard deviation of every pixel over its picture."""
    spread = np.std([one.values for one in _maps], axis=0, ddof=1, dtype=np.float64)
    return photo_uri(map_picture(_frame, spread, False))


def _spread_words(maps: Sequence[SaliencyMap]) -> str:
    if all(np.array_equal(maps[0].values, one.values) for one in maps[1:]):
        return f"The {len(maps)} maps are equal: nothing in this method is left to chance."
    mean = _mean_correlation(":".join(one.key for one in maps), maps)
    return f"**Mean rank correlation of two seeds: {number(mean)}.** The nearer to 1, the less is left to chance."


@st.cache_data(max_entries=64, show_spinner=False)
def _mean_correlation(key: str, _maps: Sequence[SaliencyMap]) -> float:
    return float(np.mean([rank_correlation(one.values, other.values) for one, other in combinations(_maps, 2)]))


# -- a parameter -------------------------------------------------------------------------------------------------------


def _sweep(wish: Wish, comparison: Comparison) -> View:
    options = {option.name: option for option in wish.spec.options if option.name != "implementation"}
    if not options:
        st.info(f"{wish.spec.title} has no parameters.", icon=":material/tune:")
        return View(lambda base: {}, lambda standing: None)
    left, right = st.columns([1, 3], gap="medium")
    name = left.selectbox(
        "Parameter",
        list(options),
        format_func=lambda one: one.replace("_", " ").capitalize(),
        key=f"inspect.sweep.{wish.spec.name}",
    )
    option, now = options[str(name)], getattr(wish.parameters, str(name))
    offered = _offered(option, now, wish.card)
    chosen = right.multiselect(
        "Values",
        offered,
        default=_spread_out(offered),
        max_selections=VALUES,
        accept_new_options=option.kind in ("int", "float", "text"),
        help=option.help,
        key=f"inspect.values.{wish.spec.name}.{name}.{wish.preset}.{now}.{wish.card.name}",
    )
    made: dict[str, Parameters] = {}
    for value in chosen:
        try:
            made[value] = wish.spec.make({**wish.parameters.model_dump(), option.name: value}, wish.preset)
        except XaiError as error:
            st.warning(str(error), icon=":material/warning:")
    frame = comparison.inputs[wish.card.name].frame
    names = ["srg"] if wish.mask is None else ["srg", "iou"]
    quick = {name: SCORES[name].make({}, "quick") for name in names}

    def requests(base: Explain) -> Requests:
        maps = {value: replace(base, parameters=parameters) for value, parameters in made.items()}
        return {("sweep", value): one for value, one in maps.items()} | {
            (name, value): evaluate(one, name, quick[name], wish.card, wish.mask, wish.picture)
            for value, one in maps.items()
            for name in names
        }

    def show(standing: Standing) -> None:
        words = []
        for value in made:
            scores = {name: _found(standing, name, value) for name in names}
            words.append(" · ".join([value, *(f"{name.upper()} {_headline(score)}" for name, score in scores.items())]))
        if made:
            _pictures(standing, [("sweep", value) for value in made], words, frame, SCORES["srg"].summary)

    return View(requests, show)


def _headline(score: Any) -> str:
    """The number that stands for a score, or that it is still to come."""
    if not isinstance(score, Score):
        return "…"
    return number(next(score.values[part] for part, value in SCORES[score.name].values.items() if value.headline))


def _spread_out(values: Sequence[str]) -> list[str]:
    """As many values as are shown at most, from the first to the last."""
    places = np.linspace(0, len(values) - 1, min(VALUES, len(values)))
    return [values[round(place)] for place in places.tolist()]


def _offered(option: Option, now: Any, card: Card) -> list[str]:
    """Values to begin with, as text: all choices, the network's stages, or numbers around the present one."""
    if option.kind == "choice":
        return [str(now), *[one for one in option.choices if one != now]]
    if option.kind == "bool":
        return ["false", "true"]
    if option.kind == "text":
        return list(dict.fromkeys([str(now), *(card.layers if option.name == "layer" else ())]))
    low = -np.inf if option.low is None else option.low
    high = np.inf if option.high is None else option.high
    if now == 0:
        top = high if np.isfinite(high) else 1.0
        values = [top * part for part in (0, 0.25, 0.5, 1)]
    else:
        values = [float(np.clip(now * part, low, high)) for part in (0.25, 0.5, 1, 2)]
    texts = [str(round(value)) if option.kind == "int" else f"{value:.3g}" for value in values]
    return list(dict.fromkeys(texts))


# -- a randomised network ----------------------------------------------------------------------------------------------


def _randomised(wish: Wish, comparison: Comparison) -> View:
    engine, survey = backend.engine(), Survey(comparison.inputs[wish.card.name])
    known = engine.known(survey) if engine.profile is not None else None
    if not isinstance(known, Blocks):

        def learn(standing: Standing) -> None:
            if isinstance(_found(standing, "blocks"), Blocks):
                st.rerun()
            st.caption("Looking at the layers of the network.")

        return View(lambda base: {("blocks",): survey}, learn)
    blocks = known.layers
    names = ["as trained", *[_block_name(block, wish.card) for block in blocks]]
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    depth = left.select_slider(
        "Layers that are initialised anew, from the logits down to",
        list(range(len(names))),
        1,
        format_func=names.__getitem__,
        help="They forget what they learnt. A map that stays alike shows the picture's edges, and not what the network "
        "has learnt.",
        key=f"inspect.depth.{wish.card.name}",
    )
    every = right.toggle(
        "Every depth", help="Makes all maps of the row, and says what they mean together.", key="inspect.every"
    )
    own: Place = ("map", wish.card.name, wish.variant.name)
    places = [own, *[("randomised", str(one)) for one in range(1, len(names))]]

    def requests(base: Explain) -> Requests:
        wanted: dict[Place, Request] = {}
        for number_ in range(1, len(names)):
            changed = Randomised(sum(blocks[:number_], ()), base.seed)
            request = replace(base, input=replace(base.input, randomised=changed))
            if every or number_ == depth or engine.known(request) is not None:
                wanted["randomised", str(number_)] = request
        return wanted

    def show(standing: Standing) -> None:
        first = _found(standing, *own)
        words, correlations = [], []
        for place, name in zip(places, names, strict=True):
            other = _found(standing, *place)
            alike = ""
            if place != own and isinstance(first, SaliencyMap) and isinstance(other, SaliencyMap):
                correlations.append(_mean_correlation(f"{first.key}:{other.key}", [first, other]))
                alike = f" · {number(correlations[-1])}"
            words.append(f"{name}{alike}")
        frame = comparison.inputs[wish.card.name].frame
        _pictures(standing, places, words, frame, "Numbers are rank correlations with the map of the trained network.")
        if len(correlations) == len(names) - 1:
            st.caption(verdict([float(np.nanmean(correlations))] if np.isfinite(correlations).any() else []))

    title = f"{wish.spec.title} · randomised down to {names[depth]}"
    return View(requests, show, instead=(("randomised", str(depth)), title) if depth else None)


def _block_name(block: tuple[str, ...], card: Card) -> str:
    """The stage that a block ends with, or its last layer."""
    stages = [stage for stage in card.layers if any(f"{path}.".startswith(f"{stage}.") for path in block)]
    return stages[-1] if stages else block[-1]


main()
