"""What the rows of the study `sampling` say: what maps tell by their samples, where these lie, and S4's claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..engine.packing import Result
from ..seeds import generator
from ..types import Floats, Pixels, Score
from .comparing import models_of
from .exhibits import Chart, Exhibit, Gallery, Section, Spread, Table, Words
from .naming import is_baseline, listed, map_name, map_title, model_title, slug
from .sampling import ABSOLUTE, AUGMENTATIONS, DROPPING, KINDS, NATS, NORM, TIMES, TUNED, drop_of, label_of
from .statistics.intervals import Interval, difference_interval, mean_interval
from .verdicts import FAILS, HOLDS, RULE, UNDECIDED, UNTOLD, Verdict, of_all, of_one_model, sign_of

if TYPE_CHECKING:
    import pandas as pd

IG = "integrated_gradients"
OTHERS = ("smoothgrad", IG, "gradient")
"""What feature suppression is held against."""
BEST = (0.6, 0.8)
"""Where S4 finds most mutual information."""
DRAWS = 1999
FEWEST_FOR_A_PEAK = 20
"""Pictures that it takes to say where something is highest: two sets of six have been sure of opposite answers."""
SURE = 0.95
PEAK_RULE = (
    f"A claim about where something is highest holds here where at least {SURE:.0%} of {DRAWS} draws of the pictures, "
    f"with replacement, agree, does not hold where at most {1 - SURE:.0%} do, and is not decided else, or "
    f"of fewer than {FEWEST_FOR_A_PEAK} pictures."
)
WARNING = (
    "Mutual information measures how much a map resembles the picture, not whether it is right: it is highest for the "
    "picture itself, of which no network knows."
)
SAMPLES = {
    "plain": "Pictures themselves",
    "noise": "Noise (SmoothGrad)",
    "path": "Way from grey (integrated gradients)",
    "dropping": "Dropped pixels (feature suppression)",
}


Find = Callable[[str], Result | None]
"""The result of a key, where it is still there."""


def sections(
    rows: pd.DataFrame, explained: Mapping[str, Sequence[str]] | None = None, find: Find = lambda key: None
) -> list[Section]:
    """All sections that there are rows for.

    `explained` are the pictures that fine-tuning explains, by model, in its order; `find` gives its results, for the
    maps themselves are in no row.
    """
    maps = maps_of(rows)
    found = []
    if len(maps):
        found.append(Section("S4's claims here", [Words([*_claims(maps), RULE, PEAK_RULE, WARNING])]))
        found.append(
            Section(
                "What maps tell, by the probability to drop a pixel",
                [
                    _curve(maps, NATS, "mutual-information", "Mutual information of picture and map (nats)"),
                    _curve(maps, NORM, "gradient-norm", "Mean norm of the gradients"),
                    ratios(maps),
                ],
            )
        )
    embedded = rows[rows["score"].str.startswith("embedding.")]
    if len(embedded):
        found.append(Section("Where the samples lie for the network", list(_embedding(embedded))))
    tuned = rows[rows["score"].str.startswith("fine_tuning.")]
    if len(tuned):
        last = of_last_trials(tuned)
        found.append(
            Section("Before and after fine-tuning", [*_tuning(last), *_tuned_maps(last, explained or {}, find)])
        )
    return found


# -- maps --------------------------------------------------------------------------------------------------------------


def maps_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The mutual information and gradient norms of maps, with the columns `map` and `drop`."""
    found = rows[rows["score"].isin([NATS, NORM]) & (rows["method"] != "")]
    names = [map_name(method, variant) for method, variant in zip(found["method"], found["variant"], strict=True)]
    drops = [
        drop_of(variant) if method == DROPPING and not variant.endswith(TIMES) else np.nan
        for method, variant in zip(found["method"], found["variant"], strict=True)
    ]
    return found.assign(map=names, drop=drops)


def table_of(maps: pd.DataFrame, score: str) -> pd.DataFrame:
    """Pictures x maps of one model."""
    return maps[maps["score"] == score].pivot_table(index="picture", columns="map", values="value", dropna=False)


def _curve(maps: pd.DataFrame, score: str, name: str, title: str) -> Chart:
    """A value against the probability to drop; methods without one are level lines."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for model in models_of(maps):
        part = maps[(maps["model"] == model) & (maps["score"] == score)]
        drops = sorted(part["drop"].dropna().unique())
        for method in (DROPPING, *OTHERS):
            own = part[part["drop"].notna() if method == DROPPING else part["map"] == method]
            for drop in drops:
                at = own[own["drop"] == drop] if method == DROPPING else own
                if len(at):
                    mean = mean_interval(at["value"].to_numpy())
                    line = {"Model": model_title(model), "Method": map_title(method), "Dropped": drop}
                    lines.append(line | {title: mean.mean, "Low": mean.low, "High": mean.high})
    frame = pd.DataFrame(lines, columns=["Model", "Method", "Dropped", title, "Low", "High"])
    return Chart(
        name,
        title,
        "lines",
        frame,
        x="Dropped",
        y=title,
        group="Method",
        low="Low",
        high="High",
        facet="Model" if frame["Model"].nunique() > 1 else "",
        note="Means over pictures with their 95 % bootstrap intervals; methods that drop nothing are level lines.",
    )


def ratios(maps: pd.DataFrame) -> Table:
    """Mutual information of every map, and divided by the model's mean for integrated gradients."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    quiet = []
    for model in models_of(maps):
        part = maps[maps["model"] == model]
        nats, norms = table_of(part, NATS), table_of(part, NORM)
        against = float(nats[IG].mean()) if IG in nats else float("nan")
        order = sorted(nats.columns, key=lambda name: (is_baseline(name), -float(np.nan_to_num(nats[name].mean()))))
        for name in order:
            mean, ratio = mean_interval(nats[name]), mean_interval(nats[name] / against)
            line: dict[str, Any] = {"Model": model_title(model), "Method": map_title(name)}
            line |= {"Nats": mean.mean, "Nats low": mean.low, "Nats high": mean.high}
            line |= {"Ratio": ratio.mean, "Ratio low": ratio.low, "Ratio high": ratio.high}
            line["Gradient norm"] = float(norms[name].mean()) if name in norms else float("nan")
            lines.append(line | {"Pictures": mean.n, "Undefined": mean.undefined})
            if is_baseline(name):
                quiet.append(len(lines) - 1)
    return Table(
        "mutual-information-ratios",
        "Mutual information beside that of integrated gradients",
        of_one_model(pd.DataFrame(lines)),
        "Ratio: to the mean of integrated gradients over the pictures of the model, which the intervals take as it is. "
        "Baselines never saw the network.",
        spreads={
            "Nats": Spread("Nats low", "Nats high", "Pictures", "Undefined"),
            "Ratio": Spread("Ratio low", "Ratio high"),
        },
        quiet=quiet,
    )


# -- claims ------------------------------------------------------------------------------------------------------------


def _claims(maps: pd.DataFrame) -> Iterator[str]:
    for model in models_of(maps):
        part = maps[maps["model"] == model]
        nats = table_of(part, NATS)
        start = f"{model_title(model)}, {len(nats)} pictures: "
        for claim, (verdict, why) in claims(part).items():
            yield f"{start}“{claim}” {verdict}. {why}"
        yield from _for_nothing(nats, start)


def claims(maps: pd.DataFrame) -> dict[str, tuple[Verdict, str]]:
    """S4's claims about one model, whether each holds, and from what that follows."""
    nats = table_of(maps, NATS)
    low, high = BEST
    own = map_name(DROPPING, label_of(0.7))
    return {
        "Feature suppression tells more about the picture than SmoothGrad, integrated gradients and the gradient": (
            _more(nats, own, OTHERS)
        ),
        "Multiplied with the picture, as integrated gradients are, it tells more than these": (
            _more(nats, f"{own} {TIMES}", (IG,))
        ),
        "It tells more than SmoothGrad of absolute gradients, which it averages too": (
            _more(nats, own, (map_name("smoothgrad", ABSOLUTE),))
        ),
        f"Most is told where {low:g} to {high:g} of the pixels are dropped": _peak(maps),
    }


def _more(nats: pd.DataFrame, own: str, others: Sequence[str]) -> tuple[Verdict, str]:
    """Whether a map tells more than all others; not where it tells less than one."""
    missing = [map_title(name) for name in (own, *others) if name not in nats]
    if missing:
        return UNTOLD, f"{listed(missing)} was not tried."
    gaps = {name: difference_interval(nats[own], nats[name]) for name in others}
    told = [f"{_interval(gap)} more than {map_title(name)}" for name, gap in gaps.items()]
    return of_all(map(sign_of, gaps.values())), f"At p = 0.7 it tells, in nats, {listed(told)}."


def _peak(maps: pd.DataFrame) -> tuple[Verdict, str]:
    part = maps[(maps["score"] == NATS) & maps["drop"].notna()]
    table = part.pivot_table(index="picture", columns="drop", values="value").dropna()
    drops = table.columns.to_numpy(dtype=float)
    below, above = drops < BEST[0] - 1e-9, drops > BEST[1] + 1e-9
    inside = ~below & ~above
    if len(table) == 0 or not (below.any() and inside.any() and above.any()):
        return UNTOLD, "Probabilities below, inside and above this range must be tried."
    best = float(drops[int(table.mean().to_numpy().argmax())])
    share = peak_share(table.to_numpy(), inside)
    why = (
        f"The mean is highest at p = {best:g}; with pictures drawn anew it lies in this range in {share:.0%} of draws."
    )
    if len(table) < FEWEST_FOR_A_PEAK:
        return UNDECIDED, why
    return HOLDS if share >= SURE else FAILS if share <= 1 - SURE else UNDECIDED, why


def peak_share(values: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_]) -> float:
    """The part of bootstrap draws of pictures (N, P) whose mean is highest at one of the P places `inside`."""
    drawn = generator(0, "peak").integers(0, len(values), (DRAWS, len(values)))
    return float(inside[values[drawn].mean(axis=1).argmax(axis=1)].mean())


def _for_nothing(nats: pd.DataFrame, start: str) -> Iterator[str]:
    """What is had without a network, or by multiplying with the picture."""
    own, found = map_name(DROPPING, label_of(0.7)), []
    if "luminance" in nats:
        found.append(f"the picture's own brightness has {nats['luminance'].mean():.3g} nats")
    times = f"{own} {TIMES}"
    if own in nats and times in nats:
        gap = difference_interval(nats[times], nats[own])
        found.append(f"multiplying feature suppression with the picture changes it by {_interval(gap)} nats")
    if found:
        yield f"{start}{listed(found)}; neither takes another look at the network."


def _interval(found: Interval) -> str:
    bounds = f" [{found.low:.3g}, {found.high:.3g}]" if found.n > 1 else ""
    return f"{found.mean:.3g}{bounds}"


# -- embedding ---------------------------------------------------------------------------------------------------------


def _embedding(rows: pd.DataFrame) -> Iterator[Exhibit]:
    import pandas as pd

    kinds = {method: kind for kind, method in KINDS.items()}
    points, lines = [], []
    for model in models_of(rows):
        for method, kind in sorted(kinds.items(), key=lambda one: list(SAMPLES).index(one[1])):
            own = rows[(rows["model"] == model) & (rows["method"] == method)]
            if own.empty:
                continue
            values = {
                part: mean_interval(own.loc[own["score"] == f"embedding.{part}", "value"])
                for part in ("distance", "home", "others")
            }
            line: dict[str, Any] = {"Model": model_title(model), "Samples": SAMPLES[kind]}
            distance = values["others" if kind == "plain" else "distance"]
            line |= {"Distance": distance.mean, "Distance low": distance.low, "Distance high": distance.high}
            home = values["home"]
            line |= {"At home": home.mean, "At home low": home.low, "At home high": home.high}
            lines.append(line | {"Pictures": distance.n})
            points.append(_points(own).assign(Model=model_title(model), Samples=SAMPLES[kind]))
    frame = pd.concat([one for one in points if len(one)] or points, ignore_index=True)
    if len(frame):
        yield Chart(
            "embedding",
            "Pictures and samples in the plane of the first two components",
            "scatter",
            frame,
            x="First component",
            y="Second component",
            group="Samples",
            facet="Model" if frame["Model"].nunique() > 1 else "",
            note="Features before the logits, by kernel principal components with the cosine as kernel.",
        )
    yield Table(
        "embedding-distances",
        "How far samples are from their picture",
        of_one_model(pd.DataFrame(lines)),
        "Distance: of the mean of a picture's samples from the picture, 1 less the cosine; for the pictures "
        "themselves that from the other pictures, as a yardstick. At home: the part of samples to which no other "
        "picture is closer. Brackets: 95 % bootstrap intervals over pictures.",
        spreads={
            "Distance": Spread("Distance low", "Distance high", "Pictures"),
            "At home": Spread("At home low", "At home high"),
        },
    )


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for every point: its picture and its two components; none where the trial failed."""
    parts = rows["score"].str.split(".", expand=True).reindex(columns=range(3))
    placed = rows.assign(axis=parts[1], sample=parts[2])[parts[2].notna()]
    wide = placed.pivot_table(index=["picture", "sample"], columns="axis", values="value").reset_index()
    named = {"first": "First component", "second": "Second component", "picture": "Picture"}
    return wide.rename(columns=named).reindex(columns=list(named.values())).rename_axis(columns=None)


# -- fine-tuning -------------------------------------------------------------------------------------------------------


def of_last_trials(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one trial for each model and augmentation, that of its accuracies.

    When pictures are added another network is tuned; what is left of the earlier one does not belong to it.
    """
    whole = rows[rows["method"] == ""]
    last = dict(zip(zip(whole["model"], whole["variant"], strict=True), whole["key"], strict=True))
    names = zip(rows["model"], rows["variant"], rows["key"], strict=True)
    return rows[[last.get((model, variant)) == key for model, variant, key in names]]


def _tuning(rows: pd.DataFrame) -> Iterator[Exhibit]:
    import pandas as pd

    whole = rows[rows["method"] == ""]
    accuracy = whole.pivot_table(index=["model", "variant"], columns="score", values="value").reset_index()
    heads = {
        "fine_tuning.accuracy_before": "Before",
        "fine_tuning.accuracy_after": "After",
        "fine_tuning.trained_accuracy_before": "Before, learnt from",
        "fine_tuning.trained_accuracy_after": "After, learnt from",
    }
    accuracy = accuracy.rename(columns={"model": "Model", "variant": "Learnt with", **heads})
    accuracy["Model"] = [model_title(model) for model in accuracy["Model"]]
    shown = ["Model", "Learnt with", *(head for head in heads.values() if head in accuracy)]
    yield Table(
        "fine-tuning-accuracy",
        "Accuracy",
        of_one_model(accuracy[shown].rename_axis(columns=None)),
        "Part of the pictures that are recognised; every other picture of a class was not learnt from.",
    )
    yield Words(list(_more_than_learning(rows)))
    lines = list(_changes(rows[rows["method"] != ""]))
    spreads = {name: Spread(f"{name} low", f"{name} high") for name in ("Change in nats", "Similarity")}
    spreads["Similarity"] = Spread("Similarity low", "Similarity high", "Pictures", "Undefined")
    if lines:
        frame = pd.DataFrame(lines)
        yield Table(
            "fine-tuning-maps",
            "Maps after fine-tuning beside those before",
            of_one_model(frame),
            "Mutual information of picture and map in nats, and Spearman's correlation of the two maps. None learnt "
            "from the pictures as they are: what it changes is learning more by itself.",
            spreads=spreads,
        )
        yield Chart(
            "fine-tuning-similarity",
            "Similarity of maps before and after",
            "bars",
            frame,
            x="Method",
            y="Similarity",
            group="Learnt with",
            low="Similarity low",
            high="Similarity high",
            facet="Model" if frame["Model"].nunique() > 1 else "",
        )


def _more_than_learning(rows: pd.DataFrame) -> Iterator[str]:
    """Whether maps change more when pictures are augmented, over the methods' mean for each picture."""
    for model in models_of(rows):
        own = rows[(rows["model"] == model) & (rows["score"] == TUNED[2])]
        table = own.pivot_table(index="picture", columns="variant", values="value")
        for augmentation in AUGMENTATIONS[1:]:
            if {"none", augmentation} <= set(table.columns):
                gap = difference_interval(table["none"], table[augmentation])
                verdict = sign_of(gap)
                yield (
                    f"{model_title(model)}, {gap.n} pictures: “Learning with {augmentation} changes maps more than "
                    f"learning without” {verdict}. Similarity without less that with it is {_interval(gap)}."
                )


def _changes(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    before, after, similarity = TUNED
    for model in models_of(rows):
        for method in dict.fromkeys(rows.loc[rows["model"] == model, "method"]):
            for augmentation in AUGMENTATIONS:
                own = rows[(rows["model"] == model) & (rows["method"] == method) & (rows["variant"] == augmentation)]
                table = own.pivot_table(index="picture", columns="score", values="value", dropna=False)
                if not set(TUNED) <= set(table.columns):
                    continue
                yield {
                    "Model": model_title(model),
                    "Method": map_title(method),
                    "Learnt with": augmentation,
                    "Nats before": mean_interval(table[before]).mean,
                    "Nats after": mean_interval(table[after]).mean,
                    **_spread("Change in nats", difference_interval(table[after], table[before])),
                    **_spread("Similarity", mean_interval(table[similarity])),
                    "Pictures": len(table),
                    "Undefined": int(table[similarity].isna().sum()),
                }


def _tuned_maps(rows: pd.DataFrame, explained: Mapping[str, Sequence[str]], find: Find) -> Iterator[Exhibit]:
    """Pictures, and their maps before and after: a row for every picture and method."""
    whole = rows[(rows["method"] == "") & (rows["key"] != "")]
    for model in models_of(whole):
        own = whole[whole["model"] == model]
        keys = dict(zip(own["variant"], own["key"], strict=True))
        found = {one: find(keys[one]) for one in AUGMENTATIONS if one in keys}
        there = {
            one: result.details
            for one, result in found.items()
            if isinstance(result, Score) and "maps_after" in result.details
        }
        gone = [one for one in found if one not in there]
        if gone:
            yield Words(
                [
                    f"{model_title(model)}: the maps after learning with {listed(gone)} cannot be shown, because the "
                    "cache has lost them; their numbers are kept. The study in another folder computes them again."
                ]
            )
        if there:
            yield Gallery(
                f"fine-tuning-maps-{slug(model)}",
                f"Maps before and after fine-tuning, {model_title(model)}",
                list(_pictures(there, explained.get(model, ()))),
                columns=2 + len(there),
                note="A bright place has a great absolute value; each map is clipped at its own 99th percentile.",
            )


def _pictures(there: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Iterator[tuple[Pixels, str]]:
    from ..trials.finetuning import EXPLAINED_BY

    first = next(iter(there.values()))
    for number, frame in enumerate(first["frames"]):
        for row, method in enumerate(EXPLAINED_BY):
            yield frame, names[number] if number < len(names) else f"Picture {number + 1}"
            yield drawn(first["maps_before"][row, number]), f"{map_title(method)}, before"
            for augmentation, details in there.items():
                yield drawn(details["maps_after"][row, number]), f"{map_title(method)}, learnt with {augmentation}"


def drawn(values: Floats) -> Pixels:
    """The absolute values of a map (H, W) as colours, uint8 (H, W, 3); a map of zeros is dark."""
    from matplotlib import colormaps

    strength = np.abs(values.astype(np.float64))
    limit = float(np.percentile(strength, 99)) or float(strength.max()) or 1.0
    return np.asarray(colormaps["inferno"](np.minimum(strength / limit, 1), bytes=True)[..., :3])


def _spread(name: str, found: Interval) -> dict[str, float]:
    return {name: found.mean, f"{name} low": found.low, f"{name} high": found.high}
