"""Methods: a card for every method, made from its Spec, with an example map that the engine computes."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import streamlit as st

from pages.parts import backend, components, forms
from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.following import Standing, follow
from xai_core.images import galleries
from xai_core.registry import FAMILIES, METHODS, PRESETS, Option, Spec
from xai_core.render.numbers import duration
from xai_core.types import Cost, SaliencyMap, XaiError

PICTURE_WIDTH = 224
PAUSE = 1.5
"""Seconds between two looks at the examples: a page of cards is a lot to draw anew."""


def main() -> None:
    components.inside_app()
    st.title("Methods")
    st.caption(
        "Every method with its idea, its formula and what it costs. The maps are those of the quick preset, computed "
        "here and now; a method is one file in `xai_core/explainers`. There is no pair of method and built-in network "
        "that cannot run."
    )
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    families = left.pills(
        "Families",
        list(FAMILIES),
        selection_mode="multi",
        format_func=FAMILIES.get,
        help="None chosen shows all of them.",
        key="methods_families",
    )
    specs = [spec for spec in METHODS if not families or spec.family in families]
    specs.sort(key=lambda spec: list(FAMILIES).index(spec.family))
    with right:
        card = forms.ready_model("Network of the examples", key="methods_model")
    examples = _examples(specs, card) if card is not None else None
    _live_cards(specs, examples)


def _examples(specs: list[Spec], card: Card) -> Comparison:
    """The first bundled picture under every method."""
    variants = [Variant(spec.name, spec.make({}, "quick")) for spec in specs]
    return Comparison(galleries.bundled().samples[0].open(), [card], variants)


def _live_cards(specs: list[Spec], examples: Comparison | None) -> None:
    standing = _followed(examples)
    pending = standing is not None and standing.pending
    pause = max(backend.pace().pause(backend.session()), PAUSE) if pending else None

    def cards() -> None:
        now = _followed(examples)
        _progress(now)
        for spec in specs:
            _card(spec, now)
        if pending and (now is None or not now.pending):
            st.rerun()  # which ends the asking

    st.fragment(cards, run_every=pause, key="methods_live")()


def _followed(examples: Comparison | None) -> Standing | None:
    if examples is None:
        backend.engine().want(backend.session(), [])
        return None
    try:
        return follow(examples, backend.engine(), backend.session())
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _progress(standing: Standing | None) -> None:
    """A line of one height, so that nothing jumps when the last map is there."""
    line = st.container(height=40, border=False, key="methods_progress")
    if standing is not None and standing.pending:
        done, total = standing.passes
        line.progress(min(done / max(total, 1), 1.0), text=f"Computing the examples · {done} of {total} passes")


def _card(spec: Spec, standing: Standing | None) -> None:
    with st.container(border=True, key=f"method_{spec.name}"):
        picture, words = st.columns([1, 3], gap="medium")
        with picture:
            _example(spec, standing)
        with words:
            st.subheader(spec.title, anchor=spec.name)
            st.markdown(f":gray-badge[{FAMILIES[spec.family]}] `{spec.name}`")
            st.markdown(spec.summary)
            st.markdown(f"**What is computed:** {_escaped(_formula(spec))}")
            st.markdown(f"**Passes:** {_costs(spec)}")
            if spec.reference:
                st.markdown(f"**Checked against:** {_checked(spec)}")
            if spec.studies:
                named = "; ".join(f"{one.title} (`{spec.name}@{name}`)" for name, one in spec.studies.items())
                st.markdown(f"**Settings of studies:** {named}.")
            if spec.cites:
                st.markdown("**Source:** " + "; ".join(spec.cites) + ".")
            if spec.options:
                with st.expander("Parameters", icon=":material/tune:"):
                    st.markdown(_table(spec.options))


def _example(spec: Spec, standing: Standing | None) -> None:
    saliency = frame = None
    if standing is not None:
        card = standing.outcome.comparison.cards[0]
        prediction = standing.outcome.predictions.get(card.name)
        frame = None if prediction is None else prediction.frame
        saliency = standing.outcome.maps.get((card.name, spec.name))
        job = standing.jobs.get(("map", card.name, spec.name))
        if job is not None and job.state == "failed":
            st.warning(job.error, icon=":material/warning:")
            return
    if saliency is None or frame is None:
        with st.container(height=PICTURE_WIDTH + 40, border=False):
            st.caption("No model is ready." if standing is None else "Waiting for the map")
        return
    st.image(components.map_png(saliency.key, frame, saliency), width=PICTURE_WIDTH)
    st.caption(" · ".join(_caption(saliency)))


def _caption(saliency: SaliencyMap) -> list[str]:
    layer = [f"layer {saliency.layer}"] if saliency.layer is not None else []
    return [*layer, duration(saliency.seconds), *saliency.notes]


def _formula(spec: Spec) -> str:
    """The docstring of the method's class, without its references to the specification."""
    return re.sub(r"[;,] spec M-\d+", "", " ".join((spec.parameters.__doc__ or "").split()))


@cache
def _agreement() -> dict[str, Any]:
    """What `bench agreement` measured, by method."""
    found: dict[str, Any] = json.loads((components.ASSETS / "agreement.json").read_text(encoding="utf-8"))
    return found


def _checked(spec: Spec) -> str:
    """The library, and how far its map is from ours."""
    known = _agreement().get(spec.name)
    if known is None or known["version"] != spec.version:
        return f"{spec.reference}, which can be chosen in its place."
    chance = f", where chance alone leaves {known['expected']:.2f}" if known["expected"] < 1 else ""
    notes = " ".join(["", *known["notes"]])
    return (
        f"{known['library']}, which can be chosen in its place. Correlation of the two maps {known['correlation']:.3f}"
        f"{chance}, largest difference {known['largest_difference']:.2%} of the largest value (ResNet-50 v1, first "
        f"photo, balanced preset).{_escaped(notes)}"
    )


def _costs(spec: Spec) -> str:
    """Passes of every preset, those that cost the same together."""
    costs: dict[Cost, list[str]] = {}
    for preset in PRESETS:
        costs.setdefault(spec.make({}, preset).cost(), []).append(preset)
    if set(costs) == {Cost()}:
        return "none."
    parts = []
    for cost, presets in costs.items():
        backward = f" and {cost.backward} backward" if cost.backward else ""
        where = f" ({', '.join(presets)})" if len(costs) > 1 else ""
        parts.append(f"{cost.forward} forward{backward}{where}")
    return "; ".join(parts) + "."


def _table(options: list[Option]) -> str:
    """The parameters as a Markdown table."""
    lines = ["| parameter | default | possible | meaning |", "|---|---|---|---|"]
    for option in options:
        possible = ", ".join(option.choices) if option.choices else ""
        if option.low is not None and option.high is not None:
            possible = f"{option.low:g} to {option.high:g} {option.unit}".strip()
        default = f"{option.default:.3g}" if isinstance(option.default, float) else str(option.default)
        lines.append(f"| `{option.name}` | {default} | {possible} | {_escaped(option.help)} |")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text of which Markdown makes neither stars, lines nor formulas."""
    for sign in ("\\", "*", "_", "$", "|", "~", "[", "]", "<"):
        text = text.replace(sign, f"\\{sign}")
    return text


main()
