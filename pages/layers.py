"""Layers: a map at every stage of a network, and what a class, a channel or a whole layer looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import streamlit as st

from pages.parts import backend, components, forms, picture, taken
from xai_core.classifiers.cards import Card
from xai_core.engine.comparison import Comparison, Variant
from xai_core.engine.following import Standing, follow
from xai_core.engine.jobs import Job
from xai_core.engine.requests import Imagine, imagine
from xai_core.registry import DRAWERS, FAMILIES, METHODS, Parameters
from xai_core.render import charts
from xai_core.render.encoding import photo_uri
from xai_core.render.numbers import duration, number
from xai_core.types import Imagined, Picture, SaliencyMap, XaiError

DRAWER = "activation_maximisation"
OBJECTIVES = {"class": "Class", "channel": "Channel", "layer": "Layer"}
UNITS = {"class": "logit of the class", "channel": "mean of the channel", "layer": "mean square"}


@dataclass(frozen=True)
class Wish:
    """What the sidebar says: what is shown of which network, and how a picture is drawn."""

    comparison: Comparison
    card: Card
    method: str
    drawing: Parameters


def main() -> None:
    components.inside_app()
    with st.sidebar:
        chosen = picture.choose()
        card = forms.ready_model("Model", key="layers_model")
        method = _method()
        target = forms.class_choice(
            "Explained class",
            card.labels if card is not None else (),
            "The model's own top class",
            "The class whose evidence the maps show. Type to search.",
            key="layers_target",
        )
        drawing = _drawing()
    if card is None or chosen is None:
        backend.engine().want(backend.session(), [])
        if chosen is None:
            st.info("Choose a picture on the left to begin.", icon=":material/image:")
        else:
            st.info("No model is ready; the Compare page downloads one.", icon=":material/network_node:")
        return
    _show(Wish(_comparison(chosen, card, method, target), card, method, drawing))


def _method() -> str:
    """A method that can look at any layer; the family of class activation maps comes first."""
    families = sorted(FAMILIES, key=lambda family: family != "cam")
    specs = [spec for spec in METHODS if "layer" in spec.parameters.model_fields]
    specs.sort(key=lambda spec: families.index(spec.family))
    return str(
        st.selectbox(
            "Method",
            [spec.name for spec in specs],
            format_func=lambda name: METHODS[name].title,
            help="Every method that can look at a layer.",
            key="layers_method",
        )
    )


def _drawing() -> Parameters:
    """How pictures are drawn; what is drawn is chosen beside the picture."""
    with st.expander("Drawing", icon=":material/brush:"):
        preset = forms.effort("layers_preset", "How many steps are taken.")
        skip = frozenset({"objective", "layer", "channel"})
        return forms.parameters(DRAWERS[DRAWER], preset, skip, kind="drawing.")


def _comparison(chosen: Picture, card: Card, method: str, target: int | None) -> Comparison:
    """The method at every stage, as variants of it."""
    variants = [Variant(method, METHODS[method].make({"layer": layer}, "quick"), layer) for layer in card.layers]
    return Comparison(chosen, [card], variants, target=target)


# -- the page ----------------------------------------------------------------------------------------------------------


def _show(wish: Wish) -> None:
    standing, job = _followed(wish), _drawn(wish.card)
    pending = (standing is not None and standing.pending) or (job is not None and job.pending)

    def live() -> None:
        standing, job = _followed(wish), _drawn(wish.card)
        if standing is None:
            return
        chosen = _strip(wish, standing)
        left, right = st.columns(2, gap="large")
        with left:
            _stage(wish, standing, chosen)
        with right:
            _picture(wish, standing, chosen, job)
        if pending and not standing.pending and (job is None or not job.pending):
            st.rerun()  # which ends the asking

    pause = backend.pace().pause(backend.session()) if pending else None
    st.fragment(live, run_every=pause, key="layers_live")()


def _followed(wish: Wish) -> Standing | None:
    try:
        return follow(wish.comparison, backend.engine(), backend.session())
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _strip(wish: Wish, standing: Standing) -> str:
    """The maps of all stages in a row; returns the chosen layer."""
    title = METHODS[wish.method].title
    st.markdown(f"#### {title} at every stage", help=METHODS[wish.method].summary)
    done, total = standing.passes
    if standing.failures and not standing.outcome.clean:
        st.error(standing.failures[0], icon=":material/error:")
    elif backend.engine().profile is None:
        st.caption("Starting the engine.")
    elif standing.pending:
        st.caption(f"Computing the maps: {done} of {total} passes.")
    else:
        st.caption("From the picture on the left to the class on the right. Choose a stage to see it large.")
    items = [_item(wish.card, variant, standing) for variant in wish.comparison.variants]
    return components.stages(items, f"Stages of {wish.card.title}", wish.card.layers[-1], f"stages.{wish.card.name}")


def _item(card: Card, variant: Variant, standing: Standing) -> dict[str, Any]:
    saliency, src = _map(card, variant, standing)
    job = standing.jobs.get(("map", card.name, variant.name))
    state = "waiting" if job is None else job.state
    words = {"waiting": "waiting", "running": "computing", "failed": "cannot be shown", "cancelled": "stopped"}
    return {
        "id": variant.label,
        "state": state,
        "src": src,
        "message": words.get(state, ""),
        "size": "" if saliency is None else _size(saliency),
        "caption": "" if saliency is None else duration(saliency.seconds),
    }


def _map(card: Card, variant: Variant, standing: Standing) -> tuple[SaliencyMap | None, str]:
    """The map at a stage, and it over its picture as a data URI."""
    saliency = standing.outcome.maps.get((card.name, variant.name))
    prediction = standing.outcome.predictions.get(card.name)
    if saliency is None or prediction is None:
        return None, ""
    return saliency, components.map_uri(saliency.key, prediction.frame, saliency)


def _size(saliency: SaliencyMap) -> str:
    return "" if saliency.layer_size is None else " x ".join(str(side) for side in saliency.layer_size[1:])


def _stage(wish: Wish, standing: Standing, chosen: str) -> None:
    """The chosen stage's map, large."""
    variant = next(one for one in wish.comparison.variants if one.label == chosen)
    saliency, src = _map(wish.card, variant, standing)
    job = standing.jobs.get(("map", wish.card.name, variant.name))
    st.markdown(f"#### {chosen}")
    words, button = st.columns([3, 2], vertical_alignment="center")
    words.caption(_facts(saliency))
    if button.button(
        "Compare",
        icon=":material/compare:",
        help=f"Opens the Compare page with {METHODS[wish.method].title} at this layer.",
        key="take",
        width="stretch",
    ):
        taken.to_compare(wish.card.name, wish.method, layer=chosen)
    message = job.error if job is not None and job.state == "failed" else "The map appears here when it is computed."
    components.large(src, f"{METHODS[wish.method].title} at {chosen}", message)
    for note in saliency.notes if saliency is not None else ():
        st.caption(note)


def _facts(saliency: SaliencyMap | None) -> str:
    if saliency is None:
        return "computing"
    channels = "" if saliency.layer_size is None else f"{saliency.layer_size[0]} channels of {_size(saliency)} · "
    return f"{channels}{duration(saliency.seconds)}"


# -- the picture that is drawn -----------------------------------------------------------------------------------------


def _drawn(card: Card) -> Job | None:
    """How the picture stands that somebody has asked for, if it is one of this network."""
    wanted: Imagine | None = st.session_state.get("drawing")
    if wanted is not None and wanted.input.model != card.name:
        wanted = None
    jobs = backend.engine().want(backend.drawing_session(), [] if wanted is None else [wanted])
    if jobs and jobs[0].partial is not None:
        st.session_state.unfinished = jobs[0].partial.values
    return jobs[0] if jobs else None


def _picture(wish: Wish, standing: Standing, chosen: str, job: Job | None) -> None:
    """What a class, a channel or the chosen layer looks for: what is drawn, how far it is, and the picture."""
    target = standing.outcome.targets.get(wish.card.name)
    st.markdown("#### What does it look for?", help=DRAWERS[DRAWER].summary)
    choice, which, button = st.columns([13, 6, 6], vertical_alignment="center", gap="small")
    objective = choice.segmented_control(
        "What is drawn",
        list(OBJECTIVES),
        default="class",
        required=True,
        format_func=OBJECTIVES.get,
        label_visibility="collapsed",
        key="objective",
        width="stretch",
    )
    channel = which.number_input(
        "Channel",
        0,
        _channels(wish, standing, chosen) - 1,
        0,
        label_visibility="collapsed",
        help="The channel of the chosen layer.",
        disabled=objective != "channel" or (wish.card.name, f"{wish.method}@{chosen}") not in standing.outcome.maps,
        key=f"channel.{wish.card.name}.{chosen}.{wish.method}",
    )
    if job is not None and job.pending:
        if button.button("Stop", icon=":material/stop:", key="stop_drawing", width="stretch"):
            backend.engine().cancel(backend.drawing_session())
            st.rerun()
    elif button.button(
        "Draw", icon=":material/brush:", type="primary", key="draw", width="stretch", disabled=target is None
    ):
        _draw(wish, {"objective": objective, "layer": chosen, "channel": channel}, target)
    components.large(*_canvas(wish.card, job))
    st.caption(_words(wish.card, job))
    if job is not None and isinstance(job.result, Imagined):
        unit = UNITS[str(job.result.parameters["objective"])]
        curve = charts.objective_curve(job.result.objective, unit)
        st.plotly_chart(curve, width="stretch", key="objective_curve", config={"displayModeBar": False})


def _channels(wish: Wish, standing: Standing, chosen: str) -> int:
    """How many channels the chosen layer has, or the most that can be asked for while that is not known."""
    variant = next(one for one in wish.comparison.variants if one.label == chosen)
    saliency = standing.outcome.maps.get((wish.card.name, variant.name))
    return saliency.layer_size[0] if saliency is not None and saliency.layer_size is not None else 4096


def _draw(wish: Wish, what: dict[str, Any], target: int | None) -> None:
    """Asks for a picture, from its beginning."""
    parameters = DRAWERS[DRAWER].make({**wish.drawing.model_dump(), **_meant(what)})
    try:
        st.session_state.drawing = imagine(
            wish.card, DRAWER, parameters, target if what["objective"] == "class" else None
        )
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.session_state.unfinished = None
    backend.engine().want(backend.drawing_session(), [])  # what was stopped may begin anew
    st.rerun()


def _meant(what: dict[str, Any]) -> dict[str, Any]:
    """What decides the picture: a class has no layer, and only a channel has a number."""
    fields = {"class": ("objective",), "layer": ("objective", "layer")}.get(what["objective"], tuple(what))
    return {name: what[name] for name in fields}


def _canvas(card: Card, job: Job | None) -> tuple[str, str, str]:
    """The picture as far as it is, in words, and what to say where there is none."""
    if job is None:
        return "", "", "Draw shows the picture to which this part of the network answers most."
    if job.state == "failed":
        return "", "", job.error
    pixels = job.result.pixels if isinstance(job.result, Imagined) else st.session_state.get("unfinished")
    message = "Drawing was stopped." if job.state == "cancelled" else "The picture begins with grey noise."
    return ("" if pixels is None else photo_uri(pixels)), _subject(card, cast(Imagine, job.request)), message


def _subject(card: Card, request: Imagine) -> str:
    values = request.parameters.model_dump()
    if request.target is not None:
        return card.labels[request.target]
    return f"Channel {values['channel']} of {values['layer']}" if values["objective"] == "channel" else values["layer"]


def _words(card: Card, job: Job | None) -> str:
    """What is drawn, in a line."""
    if job is None or job.state == "failed":
        return "Nothing is drawn yet." if job is None else ""
    subject = _subject(card, cast(Imagine, job.request))
    if isinstance(job.result, Imagined):
        found = job.result
        sure = "" if found.probability is None else f" · {found.probability:.1%} sure of it"
        first = number(float(found.objective.y[0]))
        risen = f"{UNITS[found.parameters['objective']]} {first} → {number(found.reached)}"
        return " · ".join([f"{subject}{sure}", risen, duration(found.seconds), *found.notes])
    if job.state == "cancelled":
        return f"{subject} · stopped"
    left = "" if job.seconds_left is None else f" · about {duration(job.seconds_left)} left"
    return f"{subject} · {job.done // 2} of {job.total // 2} steps{left}"


main()
