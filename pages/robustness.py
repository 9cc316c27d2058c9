"""Robustness: one picture through the severities of a corruption, how maps drift, and how much of that is noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import streamlit as st

from pages.parts import backend, components, forms, live, masks, picture, progress, taken
from pages.parts.components import Tile
from xai_core.classifiers import weights
from xai_core.classifiers.cards import Card
from xai_core.corruptions.chain import Step, step
from xai_core.corruptions.region import core, cover
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.drifting import Drifting
from xai_core.engine.following import Place, Standing, follow
from xai_core.engine.jobs import Job
from xai_core.engine.requests import Request
from xai_core.images.geometry import mask_frame
from xai_core.registry import CORRUPTION_FAMILIES, CORRUPTIONS, METHODS, MODELS, Spec
from xai_core.render import drift as drawn
from xai_core.render.encoding import photo_uri
from xai_core.render.numbers import number, percent
from xai_core.render.pipeline import map_picture
from xai_core.scores.drift import MEASURES, compared, object_overlap, spread
from xai_core.scores.ranking import is_flat, top_fraction
from xai_core.types import Bools, Mask, Picture, Pixels, Prediction, SaliencyMap, XaiError

METHODS_AT_FIRST = ("gradcam", "smoothgrad")
MOST = "region.most"
LEAST = "region.least"
OBJECT = "region.object"
REGIONS = {MOST: "Most relevant pixels", LEAST: "Least relevant pixels", OBJECT: "The object"}
"""What can be covered on purpose, beside the corruptions of the registry."""
PARTS = {MOST: (0.1, 0.3, 0.5), LEAST: (0.1, 0.3, 0.5), OBJECT: (0.25, 0.5, 0.75, 1.0)}
"""Parts of the picture that are covered, or of the object from its middle outwards."""
LEVELS = 6
"""Severities at most."""
ROUNDS = 4
"""How often results can say what is asked for next: which region, whether seeds matter; and once for good measure."""

T = TypeVar("T")


@dataclass(frozen=True)
class Corrupting:
    """What happens to the picture: `name` is a corruption or one of `REGIONS`, `values` its severities."""

    title: str
    unit: str
    words: Sequence[str]
    name: str
    values: Sequence[float]
    settings: Mapping[str, object]

    @property
    def moves_pixels(self) -> bool:
        return self.name not in REGIONS and CORRUPTIONS[self.name].moves_pixels


@dataclass(frozen=True)
class Wish:
    """What the sidebar says."""

    comparison: Comparison
    corrupting: Corrupting
    whose: Variant
    """By whose map a region is chosen."""
    fraction: float


def main() -> None:
    components.inside_app()
    with st.sidebar:
        chosen = picture.choose()
        corrupting = _corrupting()
        cards = _models()
        variants, whose = _methods(corrupting)
        target = forms.class_choice(
            "Explained class",
            cards[0].labels if cards else (),
            "Each model's own top class",
            "The class whose evidence the maps show, on every picture of the row. Type to search.",
            key="robustness.target",
        )
        with st.expander("Measures", icon=":material/straighten:"):
            fraction = st.slider(
                "Top pixels (part of all)",
                0.05,
                0.5,
                0.2,
                0.05,
                help="What part of the pixels counts as the map's top.",
                key="robustness.fraction",
            )
            seed = int(
                st.number_input("Seed", 0, 2**31, 0, key="robustness.seed", help="Everything random follows from it.")
            )
        mask = masks.choose(chosen).mask if chosen is not None else None
    if chosen is None or not cards or not variants or whose is None or not corrupting.values:
        st.info(_missing(chosen, cards, variants), icon=":material/image:")
        backend.engine().want(backend.session(), [])
        return
    if corrupting.name == OBJECT and mask is None:
        st.info("Choose the object's mask on the left, or draw it in the studio.", icon=":material/draw:")
        backend.engine().want(backend.session(), [])
        return
    comparison = Comparison(chosen, cards, variants, mask=mask, target=target, seed=seed)
    wish = Wish(comparison, corrupting, whose, float(fraction))
    live.while_pending(lambda: _bench(wish), "robustness")


def _missing(chosen: Picture | None, cards: Sequence[Card], variants: Sequence[Variant]) -> str:
    if chosen is None:
        return "Choose a picture on the left to begin."
    if not cards:
        return "Choose a model that is ready on the left; the Compare page downloads more."
    return "Choose a severity on the left." if variants else "Choose a method on the left."


# -- the sidebar -------------------------------------------------------------------------------------------------------


def _corrupting() -> Corrupting:
    families = {**CORRUPTION_FAMILIES, "region": "Covered on purpose"}
    family = st.selectbox("Kind of corruption", families, format_func=families.get, key="robustness.family")
    members = list(REGIONS) if family == "region" else [spec.name for spec in CORRUPTIONS if spec.family == family]
    name = str(
        st.pills(
            "Corruption",
            members,
            default=members[0],
            required=True,
            format_func=lambda one: REGIONS[one] if one in REGIONS else forms.short(one),
            label_visibility="collapsed",
            key=f"robustness.corruption.{family}",
        )
    )
    spec = None if name in REGIONS else CORRUPTIONS[name]
    offered = PARTS[name] if spec is None else spec.severities
    chosen = st.multiselect(
        "Severities",
        [f"{value:g}" for value in offered],
        default=[f"{value:g}" for value in offered],
        max_selections=LEVELS,
        accept_new_options=True,
        help="From mild to worst; other values can be typed." if spec is None else f"{_meaning(spec)} Type others.",
        key=f"robustness.severities.{name}",
    )
    values = _in_order(name, chosen, spec)
    settings: dict[str, object] = {}
    if spec is not None and len(spec.options) > 1:
        with st.expander("Corruption's settings", icon=":material/tune:"):
            settings = forms.corruption_settings(spec, "robustness.")
    if spec is None:
        unit = "part of the object" if name == OBJECT else "part of the picture"
        return Corrupting(REGIONS[name], unit, [f"{100 * value:.6g}%" for value in values], name, values, {})
    option = next(one for one in spec.options if one.name == spec.primary)
    unit = f"{option.name} ({option.unit})" if option.unit and option.unit != option.name else option.name
    return Corrupting(spec.title, unit, [f"{value:g}" for value in values], name, values, settings)


def _meaning(spec: Spec) -> str:
    return next(option.help for option in spec.options if option.name == spec.primary)


def _in_order(name: str, chosen: Sequence[str], spec: Spec | None) -> list[float]:
    """The chosen values that fit, by their distance from no effect; says what does not fit."""
    found = []
    for text in chosen:
        try:
            if spec is not None:
                value = step(name, text).value
            else:
                value = float(text)
                if not 0 < value <= 1:
                    raise ValueError
        except XaiError as error:
            st.warning(str(error), icon=":material/warning:")
            continue
        except ValueError:
            st.warning(f"{text!r} is no part: type a number above 0 and up to 1.", icon=":material/warning:")
            continue
        found.append(value)
    neutral = 0.0 if spec is None else float(spec.neutral or 0)
    return sorted({value for value in found if value != neutral}, key=lambda value: abs(value - neutral))


def _models() -> list[Card]:
    ready = {card.name: card for card in MODELS if weights.status(card).state == "ready"}
    names = st.multiselect(
        "Models",
        sorted(ready, key=lambda name: name != backend.DEFAULT_MODEL),
        default=[backend.DEFAULT_MODEL] if backend.DEFAULT_MODEL in ready else list(ready)[:1],
        format_func=lambda name: ready[name].title,
        placeholder="Choose models",
        key="robustness.models",
    )
    return [ready[name] for name in names]


def _methods(corrupting: Corrupting) -> tuple[list[Variant], Variant | None]:
    """The methods, and the one whose map says what is covered."""
    names = st.multiselect(
        "Methods",
        list(METHODS.entries()),
        default=list(METHODS_AT_FIRST),
        format_func=lambda name: METHODS[name].title,
        placeholder="Choose methods",
        key="robustness.methods",
    )
    preset = forms.effort("robustness.preset")
    variants = []
    with st.expander("Parameters", icon=":material/tune:"):
        for name in names:
            spec = METHODS[name]
            if spec.options:
                st.markdown(f"**{spec.title}**", help=spec.summary)
            variants.append(
                Variant(name, forms.parameters(spec, preset, frozenset({"implementation"}), kind="robustness."))
            )
    whose = variants[0] if variants else None
    if corrupting.name in (MOST, LEAST) and len(variants) > 1:
        found = {variant.name: variant for variant in variants}
        name = st.selectbox(
            "By the map of",
            found,
            format_func=lambda one: METHODS[one].title,
            help="Whose map of the clean picture says which pixels are covered, for all methods alike.",
            key=f"robustness.whose.{'-'.join(found)}",
        )
        whose = found[str(name)]
    return variants, whose


# -- the page ----------------------------------------------------------------------------------------------------------


def _bench(wish: Wish) -> bool:
    """Progress, pictures, maps, words and curves; returns whether something is still computed."""
    comparison, engine = wish.comparison, backend.engine()

    def known(request: Request) -> object | None:
        return engine.known(request) if engine.profile is not None else None

    def drifting(targets: Mapping[str, int]) -> Drifting:
        return Drifting(comparison, {card.name: _steps(wish, card, targets, known) for card in comparison.cards})

    def more(targets: Mapping[str, int]) -> dict[Place, Request]:
        return drifting(targets).requests(targets, known)

    try:
        for _ in range(ROUNDS):
            standing = follow(comparison, engine, backend.session(), more=more)
            if standing.pending or not _asks_more(more, standing):
                break
        found = drifting(_targets(standing))
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return False
    progress.line(standing)
    if not _shown(standing):
        return standing.pending
    if wish.corrupting.moves_pixels:
        st.warning(
            f"{wish.corrupting.title} moves pixels: even a perfect map would move with them, so that part of what "
            "looks like drift is the motion. Measures that compare maps pixel by pixel are shown, and hold the motion "
            "too.",
            icon=":material/open_with:",
        )
    sheet = _sheet(wish, found, standing)
    if wish.corrupting.moves_pixels:
        st.markdown("Whether a map drifts beyond its own noise is not judged where pixels move.")
    else:
        st.markdown("  \n".join(drawn.verdicts(sheet)))
    rows: list[drawn.Row] = []
    for card in _shown(standing):
        if len(comparison.cards) > 1:
            st.markdown(f"**{card.title}**")
        rows += _rows(wish, found, standing, card, sheet)
    st.caption(
        "Under each map: its rank correlation with the map of the clean picture. Bands in the curves are what the same "
        "method gives with other seeds on the clean picture; no band: nothing is left to chance."
    )
    st.plotly_chart(drawn.drift_chart(sheet), width="stretch", key="drift_chart", config={"displayModeBar": False})
    if not standing.pending and standing.outcome.maps and len(_targets(standing)) == len(_shown(standing)):
        _after(wish, found, standing, sheet, rows)
    return standing.pending


def _asks_more(more: Callable[[Mapping[str, int]], Mapping[Place, Request]], standing: Standing) -> bool:
    """Whether what has just arrived says what is to be asked for next: a region, or further seeds."""
    targets = _targets(standing)
    return len(targets) == len(_shown(standing)) and not set(more(targets)) <= set(standing.jobs)


def _shown(standing: Standing) -> list[Card]:
    """The models, but those that cannot be asked, of which the line of progress tells why."""
    return [card for card in standing.outcome.comparison.cards if card.name not in standing.lost]


def _targets(standing: Standing) -> dict[str, int]:
    """The explained class of every model that is shown, where it is known."""
    targets = standing.outcome.targets
    return {card.name: targets[card.name] for card in _shown(standing) if card.name in targets}


def _steps(
    wish: Wish, card: Card, targets: Mapping[str, int], known: Callable[[Request], object | None]
) -> Sequence[Step]:
    """A step per severity for one model; none where the map that says what is covered is not there yet."""
    corrupting, comparison = wish.corrupting, wish.comparison
    if corrupting.name == OBJECT and comparison.mask is not None:
        inside = _inside(comparison.mask, card)
        return [cover(core(inside, part)) for part in corrupting.values]
    if corrupting.name in REGIONS:
        if card.name not in targets:
            return []
        saliency = known(comparison.explanation(card, wish.whose, targets[card.name]))
        if not isinstance(saliency, SaliencyMap):
            return []
        values = saliency.values if corrupting.name == MOST else -saliency.values
        return [cover(top_fraction(values, part, comparison.seed)) for part in corrupting.values]
    return [step(corrupting.name, value, **corrupting.settings) for value in corrupting.values]


def _inside(mask: Mask, card: Card) -> Bools:
    return _mask_frame(mask.digest, card.name, mask, card)


@st.cache_data(max_entries=32, show_spinner=False)
def _mask_frame(digest: str, model: str, _mask: Mask, _card: Card) -> Bools:
    return mask_frame(_mask.values, _card.preprocess)


def _sheet(wish: Wish, found: Drifting, standing: Standing) -> drawn.Sheet:
    """The numbers of all that is there so far."""
    comparison = wish.comparison
    drifts, probabilities = [], {}
    for card in _shown(standing):
        target = standing.outcome.targets.get(card.name)
        seen = _padded(found.seen(standing, card), wish)
        probabilities[card.title] = [
            math.nan if one is None or target is None else float(one.probabilities[target]) for one in seen
        ]
        for variant in comparison.variants:
            maps = _padded(found.maps(standing, card, variant), wish)
            drifts.append(_drift(wish, card, variant, maps, found.clean_runs(standing, card, variant)))
    return drawn.Sheet(["clean", *wish.corrupting.words], drifts, probabilities)


def _padded(found: list[T | None], wish: Wish) -> list[T | None]:
    """One for every severity, None where even the severity's step is not known yet."""
    return [*found, *[None] * (1 + len(wish.corrupting.words) - len(found))]


def _drift(
    wish: Wish, card: Card, variant: Variant, maps: Sequence[SaliencyMap | None], runs: Sequence[SaliencyMap]
) -> drawn.Drift:
    seed, clean = wish.comparison.seed, maps[0]
    values = {name: drawn.undefined(len(maps)) for name in MEASURES}
    for place, one in enumerate(maps):
        if clean is not None and one is not None:
            for name, value in _compared(clean.key, one.key, wish.fraction, clean, one).items():
                values[name][place] = value
    if wish.comparison.mask is not None:
        inside = _inside(wish.comparison.mask, card)
        digest = wish.comparison.mask.digest
        values["object"] = [math.nan if one is None else _overlap(one.key, digest, seed, one, inside) for one in maps]
    noise = _noise(":".join(one.key for one in runs), wish.fraction, runs) if runs else {}
    flat = [place for place, one in enumerate(maps) if one is not None and is_flat(one.values)]
    return drawn.Drift(card.title, variant.title, values, noise, flat)


@st.cache_data(max_entries=2048, show_spinner=False)
def _compared(left: str, right: str, fraction: float, _left: SaliencyMap, _right: SaliencyMap) -> dict[str, float]:
    return compared(_left.values, _right.values, fraction)


@st.cache_data(max_entries=512, show_spinner=False)
def _overlap(key: str, mask: str, seed: int, _saliency: SaliencyMap, _mask: Bools) -> float:
    return object_overlap(_saliency.values, _mask, seed)


@st.cache_data(max_entries=256, show_spinner=False)
def _noise(keys: str, fraction: float, _runs: Sequence[SaliencyMap]) -> dict[str, tuple[float, float]]:
    if np.array_equal(_runs[0].values, _runs[1].values):
        return spread([_runs[0].values], fraction)
    return spread([one.values for one in _runs], fraction)


# -- pictures and maps -------------------------------------------------------------------------------------------------


def _rows(wish: Wish, found: Drifting, standing: Standing, card: Card, sheet: drawn.Sheet) -> list[drawn.Row]:
    """Shows a model's pictures and maps, a column per severity; returns them for the figure."""
    seen: list[Prediction | None] = _padded(found.seen(standing, card), wish)
    picture_words = [
        "" if one is None else f"{card.labels[one.top]} {percent(float(one.probabilities[one.top]))}" for one in seen
    ]
    tiles = [
        Tile("" if one is None else _photo(one.key, one), text, "waiting")
        for one, text in zip(seen, picture_words, strict=True)
    ]
    table: list[tuple[str, Sequence[Tile]]] = [("Picture", tiles)]
    rows: list[drawn.Row] = [
        (
            card.title,
            [(None if one is None else one.frame, text) for one, text in zip(seen, picture_words, strict=True)],
        )
    ]
    for variant in wish.comparison.variants:
        maps: list[SaliencyMap | None] = _padded(found.maps(standing, card, variant), wish)
        one_drift = next(one for one in sheet.drifts if (one.model, one.method) == (card.title, variant.title)).values[
            "spearman"
        ]
        places: list[Place] = [("map", card.name, variant.name)]
        places += [("drift", card.name, variant.name, str(level)) for level in range(len(wish.corrupting.words))]
        tiles, cells = [], []
        for level, (saliency, prediction, place) in enumerate(zip(maps, seen, places, strict=True)):
            text = "" if saliency is None else "clean" if level == 0 else number(one_drift[level])
            if saliency is None or prediction is None:
                tiles.append(Tile("", text, _message(standing.jobs.get(place))))
                cells.append((None, ""))
                continue
            tiles.append(Tile(components.map_uri(saliency.key, prediction.frame, saliency), text))
            cells.append((_coloured(saliency.key, prediction.frame, saliency), text))
        table.append((variant.title, tiles))
        rows.append((variant.title, cells))
    components.sheet([wish.corrupting.unit, *sheet.levels], table)
    return rows


def _message(job: Job | None) -> str:
    if job is None:
        return "waiting"
    if job.state == "running":
        return f"{job.done} of {job.total} passes"
    return {"failed": job.error, "cancelled": "stopped"}.get(job.state, "waiting")


@st.cache_data(max_entries=256, show_spinner=False)
def _photo(key: str, _prediction: Prediction) -> str:
    return photo_uri(_prediction.frame)


@st.cache_data(max_entries=256, show_spinner=False)
def _coloured(key: str, _frame: Pixels, _saliency: SaliencyMap) -> Pixels:
    return map_picture(_frame, _saliency.values, _saliency.signed)


# -- when all is there -------------------------------------------------------------------------------------------------


def _after(wish: Wish, found: Drifting, standing: Standing, sheet: drawn.Sheet, rows: Sequence[drawn.Row]) -> None:
    """Another page with the corrupted picture, and files to take along."""
    comparison = wish.comparison
    st.subheader("Look closer, or take it with you")
    columns = st.columns([2, 2, 2, 2, 2, 2], vertical_alignment="bottom", gap="small")
    words = wish.corrupting.words
    level = columns[0].selectbox("Severity", words, len(words) - 1, key=f"robustness.level.{'-'.join(words)}")
    variants = {variant.name: variant for variant in comparison.variants}
    name = columns[1].selectbox(
        "Method", variants, format_func=lambda one: METHODS[one].title, key=f"robustness.closer.{'-'.join(variants)}"
    )
    variant, card = variants[str(name)], _shown(standing)[0]
    steps = found.levels[card.name]
    chosen = (steps[words.index(str(level))],) if steps else ()
    values = {name: value for name, value in variant.parameters.model_dump().items() if name != "implementation"}
    handed = taken.Taken(card.name, {variant.method: values}, chosen, comparison.seed, target=comparison.target)
    regional = wish.corrupting.name in REGIONS
    if columns[2].button(
        "Compare",
        icon=":material/compare:",
        width="stretch",
        disabled=regional,
        help="A covered region has no slider on that page." if regional else None,
        key="robustness.compare",
    ):
        taken.open_with(taken.COMPARE, handed)
    if columns[3].button("Inspect", icon=":material/frame_inspect:", width="stretch", key="robustness.inspect"):
        st.session_state["inspect.model"] = card.name
        taken.open_with(taken.INSPECT, handed)
    stem = comparison.picture.name.rpartition(".")[0] or comparison.picture.name
    title = comparison.picture.title or comparison.picture.name
    headline = f"{title}  ·  {wish.corrupting.title} ({wish.corrupting.unit})  ·  seed {comparison.seed}"
    facts = {
        "picture": comparison.picture.name,
        "corruption": wish.corrupting.name,
        "moves_pixels": wish.corrupting.moves_pixels,
        "seed": comparison.seed,
    }
    targets = {one.title: standing.outcome.targets[one.name] for one in _shown(standing)}
    for column, name, file, mime, data in (
        (columns[4], "Figure", f"{stem}-drift.png", "image/png", lambda: drawn.drift_png(headline, sheet.levels, rows)),
        (columns[5], "Numbers", f"{stem}-drift.csv", "text/csv", lambda: drawn.drift_csv(sheet, facts, targets)),
    ):
        column.download_button(
            name,
            data,
            file,
            mime,
            key=f"robustness.download.{name}",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )


main()
