"""Single pictures and maps of a study: any score against any other, and pictures sorted by what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts import picture, studies, taken
from pages.parts.telling import count, escaped
from xai_core.corruptions import chain
from xai_core.engine.requests import Explain
from xai_core.registry import CORRUPTIONS, MODELS
from xai_core.render.charts import BASELINE_COLOUR, CATEGORICAL
from xai_core.render.encoding import thumbnail_uri
from xai_core.studies.desk import Kept
from xai_core.studies.exploring import (
    CHANGE,
    DISAGREEMENT,
    corruptions_in,
    of_every_picture,
    scores_in,
)
from xai_core.studies.naming import (
    better,
    corruption_title,
    in_order,
    is_baseline,
    listed,
    map_name,
    map_title,
    model_title,
    score_title,
)
from xai_core.studies.pictures import Entry
from xai_core.studies.plan import Plan
from xai_core.types import XaiError

if TYPE_CHECKING:
    import pandas as pd

PAGE = 20
"""Pictures at a time."""
HEIGHT = 52
"""Pixels of a row with a thumbnail."""
NAME = "name"
PAGES = {"Compare": taken.COMPARE, "Inspect": taken.INSPECT}
ICONS = {"Compare": ":material/compare:", "Inspect": ":material/frame_inspect:"}
EVERY = ""
FIRST = ("road.combined", "iou.top", "robustness.mse", "srg.srg")
"""Scores to begin with, where they are there."""


def _first(scores: Sequence[str], place: int = 0) -> int:
    """The number of a score to begin with."""
    known = [name for name in FIRST if name in scores]
    rest = [name for name in scores if name not in known and not name.startswith("prediction.")]
    order = [*known, *rest, *scores]
    return scores.index(order[min(place, len(order) - 1)])


def _only(table: pd.DataFrame, column: str, chosen: str | None) -> pd.DataFrame:
    return table if not chosen else table[table[column] == chosen]


# -- a score against another one ---------------------------------------------------------------------------------------


def scatter(kept: Kept, table: pd.DataFrame) -> None:
    """A dot for every map: one score across, another one up."""
    scores = scores_in(table)
    if not scores:
        st.caption("The scatter appears with the first scores.")
        return
    across, up, model, corruption = st.columns(4)
    x = across.selectbox("Across", scores, index=_first(scores), format_func=score_title, key=f"scatter.x.{kept.name}")
    y = up.selectbox("Up", scores, index=_first(scores, 1), format_func=score_title, key=f"scatter.y.{kept.name}")
    models = sorted(table["model"].unique())
    chosen = model.selectbox(
        "Model",
        models if len(models) == 1 else [EVERY, *models],
        format_func=lambda one: model_title(one) if one else "All models",
        key=f"scatter.model.{kept.name}",
    )
    names = corruptions_in(table, list({x, y}))
    condition = corruption.selectbox(
        "Pictures",
        names if len(names) == 1 else [EVERY, *names],
        format_func=lambda one: _condition(one) if one else "Clean and corrupted",
        key=f"scatter.corruption.{kept.name}",
    )
    shown = _only(_only(table, "model", chosen), "corruption", condition).dropna(subset=list({x, y}))
    if shown.empty:
        st.info(
            "No map has both of these scores here: choose other scores, or other pictures.",
            icon=":material/scatter_plot:",
        )
        return
    head = st.container()
    event = st.plotly_chart(
        _figure(shown, str(x), str(y)),
        width="stretch",
        key=f"scatter.{kept.name}",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    points = event.selection.points if event else []
    line = _line(shown, points[0]["customdata"][-1] if points else None)
    words, *buttons = head.columns([4, 1, 1], vertical_alignment="center")
    if line is None:
        words.caption(f"{count(len(shown), 'map')}. Click a dot to open its picture. {_correlation(shown, x, y)}")
    else:
        name = escaped(str(line["picture"]))
        words.markdown(f"**{name}** · {map_title(line['map'])} · {_condition(line['corruption'])}")
    there = line is not None and _is_there(kept, str(line["picture"]))
    for place, (title, icon) in zip(buttons, ICONS.items(), strict=True):
        pressed = place.button(
            title,
            icon=icon,
            key=f"scatter.{title}",
            width="stretch",
            disabled=not there,
            help=None if there or line is None else "This picture is in no folder here: it cannot be opened.",
        )
        if pressed and line is not None:
            what = (str(line[one]) for one in ("picture", "model", "corruption"))
            open_on(PAGES[title], kept, *what, only=str(line["map"]))


def _is_there(kept: Kept, name: str) -> bool:
    """Whether a picture is one of the study's folder; those of data sets and composites are not."""
    try:
        return name in studies.entries(kept.choice)
    except XaiError:
        return False


def _line(shown: pd.DataFrame, number: Any) -> Mapping[str, Any] | None:
    """The line of a dot, where it is among those that are shown."""
    found: Mapping[str, Any] | None = None if number not in shown.index else shown.loc[number].to_dict()
    return found


def _correlation(shown: pd.DataFrame, x: str, y: str) -> str:
    """How far the two go together over the methods' maps."""
    methods = shown[~shown["map"].map(is_baseline)]
    if x == y or len(methods) < 3:
        return ""
    both = methods[[x, y]].rank().corr().iloc[0, 1]
    return f"Rank correlation over the methods' maps {both:.2f}." if both == both else ""


def _condition(corruption: str) -> str:
    return "Clean pictures" if corruption == "clean" else corruption_title(corruption)


def _figure(shown: pd.DataFrame, x: str, y: str) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    methods = [name for name in in_order(shown["map"].unique()) if not is_baseline(name)]
    colours = {name: CATEGORICAL[place % len(CATEGORICAL)] for place, name in enumerate(methods)}
    signs = {"random": "x", "centre": "circle-open", "sobel": "diamond-open"}
    for name in sorted(in_order(shown["map"].unique()), key=lambda one: one in methods):
        part = shown[shown["map"] == name]
        own = ["model", "corruption"]
        texts = [f"{model_title(model)}, {_condition(one)}" for model, one in part[own].itertuples(index=False)]
        figure.add_scatter(
            x=part[x].tolist(),
            y=part[y].tolist(),
            mode="markers",
            name=map_title(name),
            legendrank=methods.index(name) if name in methods else 1000,
            customdata=list(zip(part["picture"].map(_plain), texts, part.index.tolist(), strict=True)),
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>"
                + f"{map_title(name)}, "
                + "%{customdata[1]}<br>"
                + f"{score_title(x)} %{{x:.3g}}<br>{score_title(y)} %{{y:.3g}}<extra></extra>"
            ),
            marker={
                "color": colours.get(name, BASELINE_COLOUR),
                "symbol": "circle" if name in colours else signs.get(name.partition("@")[0], "x"),
                "size": 8 if name in colours else 7,
                "opacity": 0.8,
            },
        )
    figure.update_layout(
        height=360,
        margin={"l": 0, "r": 0, "t": 10, "b": 0},
        xaxis_title=_axis(x),
        yaxis_title=_axis(y),
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        uirevision=f"{x} {y}",
    )
    return figure


def _axis(score: str) -> str:
    way = better(score)
    return f"{score_title(score)} ({way} is better)" if way else score_title(score)


def _plain(text: str) -> str:
    """A picture's name of which plotly makes no tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# -- pictures ----------------------------------------------------------------------------------------------------------


def pictures(kept: Kept, table: pd.DataFrame) -> None:
    """Every picture with one score of every method, sorted and filtered by it, by disagreement or by change."""
    scores = scores_in(table)
    if not scores:
        st.caption("Pictures appear with the first scores.")
        return
    first, second, third, fourth = st.columns(4)
    score = first.selectbox(
        "Score", scores, index=_first(scores), format_func=score_title, key=f"pictures.score.{kept.name}"
    )
    model = second.selectbox(
        "Model", sorted(table["model"].unique()), format_func=model_title, key=f"pictures.model.{kept.name}"
    )
    own = table[table["model"] == model]
    names = corruptions_in(own, [score])
    if not names:
        st.info("This model has no such score yet.", icon=":material/hourglass_empty:")
        return
    corruption = third.selectbox(
        "Pictures", names, format_func=_condition, key=f"pictures.corruption.{kept.name}.{score}"
    )
    found = of_every_picture(own, str(score), str(corruption))
    titles = _titles(found)
    order = fourth.selectbox(
        "Sorted by",
        [*titles, NAME],
        format_func={**titles, NAME: "Name"}.get,
        key=f"pictures.order.{kept.name}.{score}",
    )
    found = _sorted(kept, found, str(order), str(score))
    _listed(kept, found, titles, str(model), str(corruption))


def _titles(found: pd.DataFrame) -> dict[str, str]:
    """What the columns that have a value anywhere are called: what is odd first."""
    odd = {DISAGREEMENT: "Disagreement of methods", CHANGE: "Change from clean"}
    kept = [name for name in found.columns if found[name].notna().any()]
    names = [*(name for name in odd if name in kept), *(name for name in kept if name not in odd)]
    return {name: odd.get(name) or map_title(name) for name in names}


def _sorted(kept: Kept, found: pd.DataFrame, order: str, score: str) -> pd.DataFrame:
    """The pictures between two values, and of some name, in the chosen order."""
    span, text, way = st.columns([2, 1, 1], vertical_alignment="bottom")
    part = text.text_input("Name contains", key=f"pictures.text.{kept.name}").strip().lower()
    upwards = way.toggle("Lowest first", value=order == NAME, key=f"pictures.way.{kept.name}.{order == NAME}")
    if part:
        found = found[found.index.str.lower().str.contains(part, regex=False)]
    if order == NAME:
        return found.sort_index(ascending=upwards)
    values = found[order].dropna()
    if len(values) > 1 and values.min() < values.max():
        low, high = float(values.min()), float(values.max())
        step = (high - low) / 200
        between = span.slider(
            f"Only pictures with {_titles(found)[order].lower()} between",
            low,
            high,
            (low, high),
            step,
            format="%.3g",
            key=f"pictures.span.{kept.name}.{order}.{score}.{low}.{high}",
        )
        if between != (low, high):
            found = found[found[order].between(between[0] - step / 2, between[1] + step / 2)]
    return found.sort_values(order, ascending=upwards, na_position="last", kind="stable")


def _listed(kept: Kept, found: pd.DataFrame, titles: Mapping[str, str], model: str, corruption: str) -> None:
    import pandas as pd

    try:
        files = studies.entries(kept.choice)
        problem = ""
    except XaiError as error:
        files, problem = {}, str(error)
    if found.empty:
        st.info("No picture is left: widen the range, or clear the name.", icon=":material/filter_alt_off:")
        return
    pages = -(-len(found) // PAGE)
    st.caption(f"{count(len(found), 'picture')}. Numbers are {_meaning(titles)}.")
    page = 1
    if pages > 1:
        page = st.pagination(pages, key=f"pictures.page.{kept.name}.{pages}")
    shown = found.iloc[(page - 1) * PAGE : page * PAGE]
    names = list(shown.index)
    frame = pd.DataFrame(
        {
            "": [_thumbnail(files.get(name)) for name in names],
            "Picture": names,
            **{title: shown[name].tolist() for name, title in titles.items()},
            **{title: [icon if name in files else None for name in names] for title, icon in ICONS.items()},
        }
    )
    buttons = {
        title: st.column_config.ButtonColumn(
            title, type="tertiary", on_click=_clicked, args=(title, names), key=f"pictures.{title}"
        )
        for title in ICONS
    }
    st.dataframe(
        frame,
        hide_index=True,
        row_height=HEIGHT,
        height=HEIGHT * min(len(frame), 8) + 38,
        key=f"pictures.table.{kept.name}",
        column_config={
            "": st.column_config.ImageColumn("", width=56),
            **{title: st.column_config.NumberColumn(format="%.3g") for title in titles.values()},
            **buttons,
        },
    )
    if problem:
        st.warning(f"The pictures themselves cannot be shown. {problem}", icon=":material/broken_image:")
    going = st.session_state.pop("pictures.going", None)
    if going is not None:
        open_on(going[0], kept, going[1], model, corruption)


def _clicked(title: str, names: Sequence[str]) -> None:
    """Notes which picture is to be opened on which page: it is opened when the page runs again."""
    click = st.session_state.get(f"pictures.{title}")
    if click is not None:
        st.session_state["pictures.going"] = (PAGES[title], names[click["row"]])


def _meaning(titles: Mapping[str, str]) -> str:
    """What the columns mean that are no method's."""
    parts = ["the score of every map"]
    if DISAGREEMENT in titles:
        parts.append("the distance between the highest and the lowest method")
    if CHANGE in titles:
        parts.append("how far values are from the clean picture's on average")
    return ", ".join(parts)


def _thumbnail(entry: Entry | None) -> str | None:
    if entry is None:
        return None
    try:
        return thumbnail_uri(entry.path, entry.path.stat().st_mtime_ns)
    except (XaiError, OSError):
        return None


# -- another page ------------------------------------------------------------------------------------------------------


def open_on(page: str, kept: Kept, name: str, model: str, corruption: str, only: str = "") -> None:
    """Opens a picture of a study on another page, with its model, its corruptions and the seed of its maps.

    The methods are those of the study, the `only` one of a dot first. What the other pages cannot show, such as a
    network that has forgotten some of its layers, is left out, and told.
    """
    labels = [] if corruption == "clean" else corruption.split("+")
    known = [text for text in labels if text.partition("=")[0] in CORRUPTIONS]
    try:
        entry = studies.entries(kept.choice).get(name)
        if entry is None:
            raise XaiError(f"The picture {name} is not there any more.")
        if model not in MODELS.entries():
            raise XaiError(f"There is no model {model} here any more.")
        methods, seed = _methods(studies.plan(kept.choice), entry, model, only)
        steps = [chain.parse(text) for text in known]
        picture.start_with(entry.path, name)
    except XaiError as error:
        st.error(str(error), icon=":material/error:")
        return
    if left := [corruption_title(text) for text in labels if text not in known]:
        st.toast(f"{listed(left)} is no corruption of the picture: it is shown without.", icon=":material/info:")
    taken.open_with(page, taken.Taken(model, methods, steps, seed, alone=True))


def _methods(plan: Plan, entry: Entry, model: str, only: str) -> tuple[dict[str, dict[str, Any]], int]:
    """The parameters of the maps that a study makes of a picture, by method, the `only` one of a dot first, and that
    one's seed.

    Of a method with several settings only the first is handed over: a page has one of each. Raises `XaiError` where the
    study makes no such map.
    """
    made: dict[str, Explain] = {}
    for one in plan.openings([entry]):
        for unit in plan.study.units(plan, one.subject(0)) if one.clean.card.name == model else ():
            for request in (*unit.request.needs, unit.request):
                if isinstance(request, Explain) and request.method == unit.place.method:
                    made.setdefault(map_name(unit.place.method, unit.place.variant), request)
    names = sorted((name for name in made if name == only or not is_baseline(name)), key=lambda name: name != only)
    if not names or only not in (*names, ""):
        what = f"The map {map_title(only)}" if only else "What this study compares"
        raise XaiError(f"{what} is no map of this picture alone, so that other pages cannot show it.")
    handed: dict[str, dict[str, Any]] = {}
    for name in names:
        handed.setdefault(made[name].method, made[name].parameters.model_dump())
    return handed, made[names[0]].seed
