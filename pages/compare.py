"""Compare: one picture, models x methods, live corruptions, scores beside baselines."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.parts import agreement, backend, background, components, forms, masks, people, picture, progress, taken
from xai_core.classifiers import cards as card_module
from xai_core.classifiers import weights
from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import DEFAULT_METHODS, DEFAULT_SCORES, Comparison, Outcome, Variant
from xai_core.engine.following import Standing, follow
from xai_core.registry import FAMILIES, METHODS, MODELS, SCORE_FAMILIES, SCORES, Parameters, Spec
from xai_core.render import charts, export
from xai_core.render.colours import DIVERGING, MODES, SEQUENTIAL
from xai_core.render.figure import figure_png
from xai_core.render.grid import Look, grid
from xai_core.render.score_table import score_table
from xai_core.settings import MEGABYTE
from xai_core.types import Mask, Picture, XaiError

RIVALS = 10
"""Random maps among which a score tells where a map stands."""


def main() -> None:
    components.inside_app()
    with st.sidebar:
        chosen = picture.choose()
        corruptions = forms.corruptions()
        cards = _models()
        variants, scores, rivals = _methods()
        target, against, seed = _target(cards)
        look = _look()
        found = masks.choose(chosen) if chosen is not None else masks.Chosen()
    for problem in card_module.problems():
        st.warning(problem, icon=":material/warning:")
    ready = [card for card in cards if weights.status(card).state == "ready"]
    for card in cards:
        if card not in ready:
            background.weights_needed(card)
    if not _complete(chosen, cards, ready, variants):
        backend.engine().want(backend.session(), [])
        return
    assert chosen is not None
    comparison = Comparison(chosen, ready, variants, corruptions, scores, found.mask, target, seed, against, rivals)
    _show(comparison, look, found.people)


def _complete(chosen: Picture | None, cards: list[Card], ready: list[Card], variants: list[Variant]) -> bool:
    """Whether there is something to compare; says what to do first where there is not."""
    if chosen is None:
        st.info("Choose a picture on the left to begin.", icon=":material/image:")
    elif not cards:
        st.info("Choose a model on the left.", icon=":material/network_node:")
    elif not variants:
        st.info("Choose a method on the left.", icon=":material/flare:")
    return chosen is not None and bool(ready) and bool(variants)


# -- the sidebar, in the order of the picture's way -------------------------------------------------------------------


def _models() -> list[Card]:
    def label(card: Card) -> str:
        found = states[card.name]
        size = f" {found.size / MEGABYTE:.0f} MB" if found.size else ""
        return card.title + {"ready": "", "download": f" · ↓{size}", "missing": " · file missing"}[found.state]

    cards: Mapping[str, Card] = MODELS.entries()
    states = {name: weights.status(card) for name, card in cards.items()}
    names = st.multiselect(
        "Models",
        sorted(cards, key=lambda name: states[name].state != "ready"),
        default=[taken.model() or backend.DEFAULT_MODEL],
        format_func={name: label(card) for name, card in cards.items()}.get,
        help="Those that are ready come first; ↓ says how large the download of the others is.",
        placeholder="Choose models",
        key="models",
    )
    return [cards[name] for name in names]


def _ordered_methods() -> list[str]:
    """The four that are chosen at first, then the others family by family, the baselines last."""
    families = list(FAMILIES)
    first = [name for name in METHODS.entries() if name in DEFAULT_METHODS]
    rest = [spec for spec in METHODS if spec.name not in first]
    return first + [spec.name for spec in sorted(rest, key=lambda spec: families.index(spec.family))]


def _methods() -> tuple[list[Variant], dict[str, Parameters], int]:
    """What is compared, by which scores, and among how many random maps."""
    names = st.multiselect(
        "Methods",
        _ordered_methods(),
        default=list(dict.fromkeys([*(() if taken.alone() else DEFAULT_METHODS), *taken.methods()])),
        format_func=lambda name: METHODS[name].title,
        placeholder="Choose methods",
        key="methods",
    )
    preset = forms.effort("preset")
    st.session_state.setdefault("scores", list(DEFAULT_SCORES))  # which the groups below set, too
    st.pills(
        "More scores",
        list(SCORE_FAMILIES),
        selection_mode="multi",
        format_func=SCORE_FAMILIES.get,
        help="Whole groups of scores beside the three that are quick. Robustness and sanity make further maps, which "
        "takes as long as making them by hand.",
        on_change=_choose_groups,
        key="score_groups",
    )
    variants: list[Variant] = []
    with st.expander("Parameters", icon=":material/tune:"):
        for name in names:
            variants += _variants_of(name, preset)
        score_names = st.multiselect(
            "Scores",
            list(SCORES.entries()),
            format_func=lambda name: SCORES[name].title,
            placeholder="No scores",
            key="scores",
        )
        scores = {name: _score_parameters(name, preset) for name in score_names}
    rivals = st.toggle(
        f"Among {RIVALS} random maps",
        help=f"Scores {RIVALS} random maps too, and says how many of them each map beats. It takes {RIVALS} times as "
        "long as the scores of one map; scores that make further maps are left out.",
        key="rivals",
    )
    counts = [
        f"{METHODS[one.method].title.partition(' (')[0]} {samples}"
        for one in variants
        if (samples := getattr(one.parameters, "samples", None)) is not None and not one.label
    ]
    if counts:
        st.caption(f"Samples: {', '.join(counts)}")
    return variants, scores, RIVALS if rivals else 0


def _choose_groups() -> None:
    """The scores of the groups that are switched on, beside those that are shown anyway."""
    groups = st.session_state.get("score_groups") or []
    st.session_state.scores = [spec.name for spec in SCORES if spec.name in DEFAULT_SCORES or spec.family in groups]


def _variants_of(name: str, preset: str) -> list[Variant]:
    spec = METHODS[name]
    if not spec.options:
        return [Variant(name, spec.make())]
    st.markdown(f"**{spec.title}**", help=spec.summary)
    parameters = forms.parameters(spec, preset, skip=frozenset({"implementation"}), given=taken.values(name))
    variants = [Variant(name, parameters)]
    if spec.reference and st.toggle(
        f"Cross-check with {spec.reference}",
        help=f"Computes the map with the library {spec.reference} too, and shows how well the two agree.",
        key=f"{name}.reference",
    ):
        values = {**parameters.model_dump(), "implementation": "reference"}
        variants.append(Variant(name, spec.make(values), spec.reference))
    return variants


def _score_parameters(name: str, preset: str) -> Parameters:
    spec = SCORES[name]
    if not spec.options:
        return spec.make()
    st.markdown(f"**{spec.title}**", help=spec.summary)
    return forms.parameters(spec, preset, kind="score.")


def _target(cards: list[Card]) -> tuple[int | None, int | None, int]:
    """The explained class, the class that it is explained against, and the seed."""
    if "clicked_target" in st.session_state:
        st.session_state.target = st.session_state.pop("clicked_target")
    labels = cards[0].labels if cards else ()
    target = forms.class_choice(
        "Explained class",
        labels,
        "Each model's own top class",
        "The class whose evidence the maps show. Type to search, or click a class above the maps.",
        key="target",
    )
    against = forms.class_choice(
        "and not",
        labels,
        "No class in particular",
        "Why the one class and not the other: gradient, CAM and Shapley methods then explain the difference of the two "
        "logits.",
        key="against",
    )
    return target, against, int(st.session_state.get("seed", taken.seed()))


def _look() -> Look:
    with st.expander("Look", icon=":material/palette:"):
        mode = st.segmented_control(
            "Colours show",
            list(MODES),
            default="value",
            required=True,
            format_func=MODES.get,
            help="Values, each map over its own 99th percentile; ranks, as in S3; or least to most in blue-white-red, "
            "as in S4.",
            key="mode",
        )
        sequential = st.selectbox("Colours of unsigned maps", SEQUENTIAL, key="sequential")
        diverging = st.selectbox(
            "Colours of signed maps", DIVERGING, format_func=lambda name: name.removesuffix("_r"), key="diverging"
        )
        opacity = st.slider("Opacity of the maps", 0.0, 1.0, 0.75, 0.05, key="opacity")
        grey = st.toggle("Grey photo under the maps", value=True, key="grey")
        st.number_input("Seed", 0, taken.MOST_SEED, taken.seed(), key="seed", help="Everything random follows from it.")
    return Look(str(sequential), str(diverging), mode, float(opacity), bool(grey))


# -- the page ----------------------------------------------------------------------------------------------------------


def _show(comparison: Comparison, look: Look, drawn: Mapping[str, Mask]) -> None:
    standing = _followed(comparison)
    if standing is None:
        return
    fresh = [standing]
    pause = backend.pace().pause(backend.session()) if standing.pending else None
    st.fragment(_live, run_every=pause, key="live")(comparison, look, fresh)
    if not standing.pending:
        _after(standing, look, drawn)


def _followed(comparison: Comparison) -> Standing | None:
    try:
        return follow(comparison, backend.engine(), backend.session())
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _live(comparison: Comparison, look: Look, fresh: list[Standing]) -> None:
    """Progress and the grid: all that changes while results arrive; `fresh` is how things stood a moment ago."""
    standing = fresh.pop() if fresh else _followed(comparison)
    if standing is None:
        return
    progress.line(standing)
    clicked = components.grid(grid(standing, look), key="grid")
    if clicked is not None:
        st.session_state.clicked_target = clicked
        st.rerun()
    if not standing.pending and st.session_state.get("was_pending"):
        st.session_state.was_pending = False
        st.rerun()
    st.session_state.was_pending = standing.pending


def _table(standing: Standing) -> None:
    comparison = standing.outcome.comparison
    if not comparison.scores:
        return
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.subheader("Scores")
    with right.popover("What they mean", icon=":material/info:", width="stretch"):
        for name in comparison.scores:
            _score_card(SCORES[name])
    st.caption(
        "The stronger the colour, the better in its column. Grey numbers do not beat the best of the three maps that "
        "explain nothing."
    )
    for card in comparison.cards:
        if len(comparison.cards) > 1:
            st.markdown(f"**{card.title}**")
        st.html(score_table(standing, card))


def _score_card(spec: Spec) -> None:
    """What a score measures, which way is better, between which bounds, and where it comes from."""
    st.markdown(f"**{spec.title}** {spec.summary}")
    for value in spec.values.values():
        st.markdown(f"- {value.title}: {value.better} is better, from {value.low:g} to {value.high:g} {value.unit}")
    st.caption("; ".join(spec.cites))


def _curves(outcome: Outcome) -> None:
    names = [name for name in charts.CURVES if name in outcome.comparison.scores]
    figures = {name: figure for name in names if (figure := charts.removal_curves(outcome, name)) is not None}
    if not figures:
        return
    st.subheader("Curves")
    for tab, (name, figure) in zip(st.tabs([SCORES[name].title for name in figures]), figures.items(), strict=True):
        with tab:
            st.caption(SCORES[name].summary)
            st.plotly_chart(figure, width="stretch", key=f"{name}_curves", config={"displayModeBar": False})


def _after(standing: Standing, look: Look, drawn: Mapping[str, Mask]) -> None:
    """What is shown when all is there: the table of scores, people, curves, agreement and downloads."""
    outcome = standing.outcome
    _table(standing)
    people.show(outcome, drawn)
    _curves(outcome)
    agreement.show(outcome)
    if not outcome.maps:
        return
    st.subheader("Take it with you")
    stem = outcome.comparison.picture.name.rpartition(".")[0] or outcome.comparison.picture.name
    columns = st.columns(4)

    def figure() -> bytes:
        return figure_png(outcome, look.mode, look.sequential, look.diverging, look.opacity)

    for column, (title, file, mime, data) in zip(
        columns,
        [
            ("Figure", f"{stem}.png", "image/png", figure),
            ("Maps", f"{stem}-maps.npz", "application/octet-stream", lambda: export.maps_npz(outcome)),
            ("Scores", f"{stem}-scores.csv", "text/csv", lambda: export.scores_csv(outcome)),
            ("Manifest", f"{stem}-manifest.json", "application/json", lambda: export.manifest_json(outcome)),
        ],
        strict=True,
    ):
        column.download_button(
            title,
            data,
            file,
            mime,
            key=f"download.{title}",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )


main()
