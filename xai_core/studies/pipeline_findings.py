"""What the rows of the study `pipeline` say: SRG of every combination, what each stage changes, and S3's claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .comparing import effects, models_of, summary
from .exhibits import Chart, Exhibit, Section, Spread, Table, Words
from .naming import heading, listed, map_name, map_title, model_title, slug
from .pipeline import ONE_BY_ONE, PER, SEPARATOR
from .statistics.factors import eta_gap
from .statistics.intervals import Interval, difference_interval, mean_interval
from .verdicts import FAILS, HOLDS, RULE, UNTOLD, Verdict, of_all, of_one_model, sign_of

if TYPE_CHECKING:
    import pandas as pd

SCORE = "srg.srg"
FACTORS = ("Segments", "Sampling", "Attribution", "Map")
"""The stages in the order in which a variant's label names them."""
METHOD = "pipeline"
ALIKE = 0.01
"""Differences of SRG that are taken for rounding: maps in single precision order nearly equal pixels otherwise."""

EXACT_RULE = (
    "That attributions have the same SRG is an exact property, to which this rule does not apply: it is checked map by "
    "map, holds here when it is so for every family of maps, and does not hold when it is not for one. Up to "
    f"{ALIKE:g} is taken for rounding: maps in single precision order nearly equal pixels otherwise."
)


def grid_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The SRG of the grid's maps, with a column for every stage.

    Only pictures of which every combination has been tried: of a study that goes on, the others would lean.
    """
    found = rows[(rows["method"] == METHOD) & (rows["score"] == SCORE)].copy()
    for place, factor in enumerate(FACTORS):
        found[factor] = [label.split(SEPARATOR)[place] for label in found["variant"]]
    if found.empty:
        return found
    sizes = found.groupby(["model", "picture"])["variant"].transform("size")
    return found[sizes == sizes.groupby(found["model"]).transform("max")]


def sections(rows: pd.DataFrame) -> list[Section]:
    """All sections of the report; none before the first picture is finished."""
    grid = grid_of(rows)
    if grid.empty:
        return []
    models = [(model, grid[grid["model"] == model]) for model in models_of(grid)]
    return [
        Section("S3's claims here", [Words([*_claims(models), RULE, EXACT_RULE])]),
        Section("What each stage changes", [*_stages(models), _samplings(grid)]),
        Section("SRG of every combination", [*_tables(models), _heat(grid), _all(rows)]),
    ]


def balanced(grid: pd.DataFrame) -> pd.DataFrame:
    """The grid without CIU, which is not there for every sampling."""
    return grid[grid["Attribution"] != "ciu"]


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(models: list[tuple[str, pd.DataFrame]]) -> Iterator[Table]:
    for model, grid in models:
        means = grid.pivot_table(index=["Segments", "Sampling", "Map"], columns="Attribution", values="value")
        yield Table(
            f"srg-{slug(model)}",
            f"Mean {heading(SCORE)}, {model_title(model)}",
            means.reset_index().rename_axis(columns=None),
            f"Over {grid['picture'].nunique()} pictures. CIU is only there where segments are hidden or shown one by "
            "one. S3's table has its inverse CIU too, which mixes y and 1 - y and is left out.",
            better=dict.fromkeys(means.columns, "higher"),
        )


def _heat(grid: pd.DataFrame) -> Chart:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "Combination": grid["Segments"] + ", " + grid["Sampling"],
            "Made of it": grid["Attribution"] + ", " + grid["Map"],
            "Model": [model_title(model) for model in grid["model"]],
            "SRG": grid["value"],
        }
    )
    means = frame.groupby(["Model", "Combination", "Made of it"], as_index=False)["SRG"].mean()
    return Chart(
        "srg-heat",
        "Mean SRG",
        "heat",
        means,
        x="Made of it",
        y="SRG",
        group="Combination",
        facet="Model" if means["Model"].nunique() > 1 else "",
    )


def _all(rows: pd.DataFrame) -> Table:
    scores = [SCORE, "srg.lif", "srg.mif"]
    table = summary(rows, scores, name="srg-all", title="Every combination, RISE and the baselines")
    start = map_title(map_name(METHOD, "-"))[:-1]
    frame = table.frame.assign(Method=[name.removeprefix(start) for name in table.frame["Method"]])
    return replace(table, frame=of_one_model(frame))


def _stages(models: list[tuple[str, pd.DataFrame]]) -> Iterator[Exhibit]:
    yield Words(
        [
            "Eta squared is the part of the variance of SRG within a picture that a stage explains by itself; what the "
            "stages explain only together is left over. CIU is left out, because it is not there for every sampling."
        ]
    )
    for model, grid in models:
        title = model_title(model)
        whole = balanced(grid)
        if whole.empty:
            continue
        table = effects(whole, FACTORS, SCORE, f"stages-{slug(model)}")
        yield Table(table.name, f"{title}: effect of every stage", table.frame, table.note, spreads=table.spreads)
        frame = _levels(whole)
        if len(frame):
            yield Table(
                f"levels-{slug(model)}",
                f"{title}: choices of every stage against each other",
                frame,
                "Mean SRG of the first less that of the second, picture by picture, over all choices of the other "
                "stages, with its 95 % bootstrap interval over pictures.",
                spreads={"Difference": Spread("Low", "High", "Pictures", "Undefined")},
            )


def _samplings(grid: pd.DataFrame) -> Chart:
    """Which segmentation is best may hang on how many are hidden at once."""
    import pandas as pd

    lines = []
    for (model, sampling, segments), part in balanced(grid).groupby(["model", "Sampling", "Segments"]):
        mean = mean_interval(part.groupby("picture")["value"].mean().to_numpy())
        line = {"Model": model_title(model), "Sampling": sampling, "Segments": segments, "SRG": mean.mean}
        lines.append(line | {"Low": mean.low, "High": mean.high})
    frame = pd.DataFrame(lines, columns=["Model", "Sampling", "Segments", "SRG", "Low", "High"])
    return Chart(
        "srg-samplings",
        "Segments and sampling together",
        "bars",
        frame,
        x="Sampling",
        y="SRG",
        group="Segments",
        low="Low",
        high="High",
        facet="Model" if frame["Model"].nunique() > 1 else "",
        note="Means over pictures, attributions and both kinds of map, with their 95 % bootstrap intervals.",
        level=0.0,
    )


def _levels(grid: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for factor in FACTORS:
        for first, second in combinations(sorted(grid[factor].unique()), 2):
            gap = difference(grid, factor, first, second)
            line: dict[str, Any] = {"Stage": factor, "First": first, "Second": second, "Difference": gap.mean}
            lines.append(line | {"Low": gap.low, "High": gap.high, "Pictures": gap.n, "Undefined": gap.undefined})
    return pd.DataFrame(lines)


def difference(grid: pd.DataFrame, factor: str, first: str, second: str) -> Interval:
    """The mean SRG of one choice less that of another, all else equal, and its interval over pictures.

    Only combinations that are defined for both choices count.
    """
    others = [one for one in FACTORS if one != factor]
    table = grid.pivot_table(index=["picture", *others], columns=factor, values="value")
    both = table.reindex(columns=[first, second]).dropna()  # a choice that is nowhere defined has no column
    each = both.groupby("picture").mean()
    return difference_interval(each[first].to_numpy(), each[second].to_numpy())


# -- claims ------------------------------------------------------------------------------------------------------------


def _claims(models: list[tuple[str, pd.DataFrame]]) -> Iterator[str]:
    for model, grid in models:
        start = f"{model_title(model)}, {grid['picture'].nunique()} pictures: "
        for claim, (verdict, why) in claims(grid).items():
            yield f"{start}“{claim}” {verdict}. {why}"


def claims(grid: pd.DataFrame) -> dict[str, tuple[Verdict, str]]:
    """S3's claims about one model, whether each holds, and from what that follows."""
    return {
        "With one segment hidden at a time, or shown alone, every attribution has the same SRG": _one_by_one(grid),
        "Maps per pixel are at least as good as maps per segment": _pixels(grid),
        "SLIC with a Gaussian is better than the grid": _slic(grid),
        "The attribution hardly matters beside segments and smoothing": _attribution(grid),
    }


def spread_one_by_one(grid: pd.DataFrame, per: str) -> pd.Series[float]:
    """Where segments are hidden or shown one by one: greatest less least SRG over the attributions, for each map."""
    one = grid[grid["Sampling"].isin(ONE_BY_ONE) & (grid["Map"] == per)]
    groups = one.groupby(["picture", "Segments", "Sampling"])["value"]
    return (groups.max() - groups.min())[groups.count() > 1]


def _one_by_one(grid: pd.DataFrame) -> tuple[Verdict, str]:
    hard, soft = (spread_one_by_one(grid, per) for per in PER.values())
    told = []
    for per, spread in zip(PER.values(), (hard, soft), strict=True):
        if len(spread):
            same = int((spread == 0).sum())
            told.append(
                f"{per[:1].upper()}{per[1:]} {same} of {len(spread)} families of maps have exactly one SRG; the "
                f"greatest difference is {spread.max():.2g}."
            )
    if not told:
        return UNTOLD, "Two attributions and a sampling one by one are needed."
    told.insert(0, "An exact property, which was checked map by map.")
    holds = all(spread.max() <= ALIKE for spread in (hard, soft) if len(spread))
    return (HOLDS if holds else FAILS), " ".join(told)


def _pixels(grid: pd.DataFrame) -> tuple[Verdict, str]:
    return _of_levels(grid, "Map", "per pixel", "per segment")


def _slic(grid: pd.DataFrame) -> tuple[Verdict, str]:
    found = [
        _of_levels(grid, "Segments", "slic+gaussian", other)
        for other in sorted(grid["Segments"].unique())
        if other.startswith("grid")
    ]
    if not found:
        return UNTOLD, "There is no grid to compare with."
    return of_all(verdict for verdict, _ in found), " ".join(why for _, why in found)


def _of_levels(grid: pd.DataFrame, factor: str, first: str, second: str) -> tuple[Verdict, str]:
    """Whether the interval of first less second lies above 0."""
    whole = balanced(grid)
    missing = [one for one in (first, second) if one not in set(whole[factor])]
    if missing:
        return UNTOLD, f"{listed(missing)} was not tried."
    gap = difference(whole, factor, first, second)
    if not gap.n:
        return sign_of(gap), f"On no picture is the SRG of both {first} and {second} defined."
    bounds = f" [{gap.low:.3g}, {gap.high:.3g}]" if gap.n > 1 else ""
    return sign_of(gap), f"In SRG, {first} less {second} is {gap.mean:.3g}{bounds}."


def _attribution(grid: pd.DataFrame) -> tuple[Verdict, str]:
    whole = balanced(grid)
    if whole["Attribution"].nunique() < 2 or whole["Segments"].nunique() < 2:
        return UNTOLD, "Two attributions and two segmentations are needed."
    frame = effects(whole, FACTORS, SCORE).frame.set_index("Factor")
    told = [f"{frame['Eta squared'][factor]:.3g} by {factor.lower()}" for factor in FACTORS]
    gap = eta_gap(*(whole[name].to_numpy() for name in ("value", "Segments", "Attribution", "picture")))
    bounds = f" [{gap.low:.3g}, {gap.high:.3g}]" if gap.n > 1 else ""
    return sign_of(gap), (
        f"Of the variance within pictures {listed(told)} is explained: by segments {gap.mean:.3g}{bounds} more than by "
        "attribution."
    )
