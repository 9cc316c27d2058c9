"""S2: ROAR and KAR with retraining, and whether methods differ by more than one training does from the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.comparison import Variant
from ..engine.requests import Trial
from ..registry import STUDIES, parameter
from ..trials import datasets
from ..trials.networks import resolved
from ..trials.retraining import Retraining
from ..trials.training import Training
from ..types import XaiError
from .base import Place, Study, Unit
from .comparing import APART
from .exhibits import Chart, Section, Spread, Table, Words
from .naming import in_order, is_baseline, listed, map_name, map_title
from .plan import Plan
from .statistics.pairs import holm
from .statistics.ranks import ALPHA

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {"roar": "ROAR: the top pixels removed", "kar": "KAR: nothing but the top pixels kept"}
ACCURACY = "retraining.accuracy"
RANDOM = "random"
DIFFER = "differ"
ENOUGH = 5
"""Runs from which on Student's t is no longer very wide."""
ROUNDING = 1e-9
"""Percentage points that arithmetic alone may leave."""


@STUDIES.register(
    "roar",
    title="Remove and retrain",
    summary="Removes the pixels that a method ranks highest from every picture of a data set, or keeps nothing else, "
    "and trains a network on what is left. A good ranking takes more accuracy away than a random one, and keeps more.",
    cites=(
        "Loreth 2023 (S2): how far do the methods differ, compared with one retraining and the next?",
        "Hooker et al. 2019, A benchmark for interpretability methods in deep neural networks",
    ),
    presets={"quick": {"runs": 2, "fractions": "30,70"}, "balanced": {"runs": 3}},
)
class Roar(Study):
    """Accuracy after retraining at every fraction, with its spread over runs; spec E-15."""

    of_pictures = False
    default_methods = ("gradient", "gradcam", "integrated_gradients", "smoothgrad")

    dataset: Literal["digits", "mnist", "food101", "folder"] = parameter(
        "digits", "Labelled pictures to train on; folder takes the study's own pictures, in class folders."
    )
    order: Literal["both", "roar", "kar"] = parameter("both", "Remove the top pixels, keep nothing else, or both.")
    fractions: str = parameter("10,30,50,70,90", "Pixels that are removed or kept, as a list.", unit="%")
    runs: int = parameter(5, "Trainings with seeds of their own.", unit="runs", ge=1, le=50, step=1)
    network: Literal["auto", "small", "resnet18"] = parameter("auto", "The network; auto goes by the pictures' size.")
    epochs: int = parameter(0, "Times that every picture is learnt from; 0 for what fits the data set.", ge=0, le=500)
    pictures: int = parameter(0, "Pictures at most; 0 for all.", ge=0, le=1_000_000)
    squared: bool = parameter(True, "Rank by the square of a map, as the authors' code does: without its sign.")

    @property
    def percents(self) -> tuple[int, ...]:
        """The fractions in percent, ascending; raises `XaiError` for what is no list of them."""
        try:
            found = sorted({int(part) for part in self.fractions.replace("%", "").split(",")})
        except ValueError:
            found = []
        if not found or found[0] < 1 or found[-1] > 99:
            raise XaiError(f"The fractions {self.fractions!r} do not fit: write percentages from 1 to 99, as 10,50,90.")
        return tuple(found)

    @property
    def orders(self) -> tuple[Literal["roar", "kar"], ...]:
        return ("roar", "kar") if self.order == "both" else (self.order,)

    def taught(self, plan: Plan) -> dict[str, Any]:
        """Data set and network, as trials name them."""
        folder = plan.choice.pictures if self.dataset == "folder" else ""
        found = {"dataset": self.dataset, "folder": folder, "pictures": self.pictures, "epochs": self.epochs}
        return {**found, "network": resolved(self.network, datasets.facts(self.dataset, folder, self.pictures).side)}

    def trials(self, plan: Plan) -> Iterator[Unit]:
        percents, taught = self.percents, self.taught(plan)
        for run in range(self.runs):
            seed = plan.seed + run
            place = Place(model=taught["network"], seed=seed)
            yield Unit(place, Trial("training", Training(**taught), seed))
            for variant in plan.shown:
                for order in self.orders:
                    for percent in percents:
                        yield self._unit(taught, variant, order, percent, seed)

    def _unit(self, taught: dict[str, Any], variant: Variant, order: Any, percent: int, seed: int) -> Unit:
        trial = Retraining(
            **taught,
            method=variant.method,
            settings=variant.parameters.model_dump(mode="json"),
            squared=self.squared,
            order=order,
            percent=percent,
        )
        place = Place(
            model=taught["network"],
            corruption=f"{order}={percent / 100:g}",
            method=variant.method,
            variant=variant.label,
            seed=seed,
        )
        return Unit(place, Trial("retraining", trial, seed))

    def sections(self, plan: Plan, rows: pd.DataFrame) -> list[Section]:
        found = accuracies(rows)
        clean = rows[rows["score"] == "training.accuracy"]["value"].to_numpy()
        if found.empty:
            return [Section("Accuracy after retraining", [Words(["No network has been retrained yet."])])]
        sections = []
        for order in self.orders:
            part = found[found["order"] == order]
            if not part.empty:
                sections.append(_curves(part, order, clean))
                sections.append(_areas(part, order))
        return sections


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """The accuracies of retrained networks, with the columns `map`, `order`, `percent`, `run` and `accuracy` in %."""
    import pandas as pd

    kept = rows[(rows["score"] == ACCURACY) & np.isfinite(rows["value"])]
    steps = [label.partition("=") for label in kept["corruption"]]
    return pd.DataFrame(
        {
            "map": [map_name(method, variant) for method, variant in zip(kept["method"], kept["variant"], strict=True)],
            "order": [name for name, _, _ in steps],
            "percent": [round(100 * float(value)) for _, _, value in steps],
            "run": kept["seed"].to_numpy(),
            "accuracy": 100 * kept["value"].to_numpy(),
        }
    )


def area(percents: npt.ArrayLike, values: npt.ArrayLike) -> float:
    """The area under a curve as its mean height between the first and the last of `percents`."""
    x, y = np.asarray(percents, dtype=np.float64), np.asarray(values, dtype=np.float64)
    return float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else float(y[0])


def areas(part: pd.DataFrame) -> pd.DataFrame:
    """The area under every curve, runs x maps; not-a-number for a run that is not through all fractions yet."""
    percents = sorted(part["percent"].unique())
    table = part.pivot_table(index=["run", "map"], columns="percent", values="accuracy")[percents]
    heights = table.apply(lambda line: area(percents, line.to_numpy()), axis=1)
    unstacked: pd.DataFrame = heights.unstack("map")
    return unstacked.reindex(columns=in_order(part["map"]))


def _curves(part: pd.DataFrame, order: str, clean: npt.NDArray[np.float64]) -> Section:
    import pandas as pd

    runs = part["run"].nunique()
    lines, cells = [], []
    for name in in_order(part["map"]):
        line: dict[str, Any] = {"Method": map_title(name)}
        for percent, group in part[part["map"] == name].groupby("percent"):
            mean, spread = float(group["accuracy"].mean()), _deviation(group["accuracy"].to_numpy())
            lines.append(
                {
                    "Pixels (%)": percent,
                    "Accuracy (%)": mean,
                    "Low": mean - spread,
                    "High": mean + spread,
                    "Method": map_title(name),
                }
            )
            line |= {f"{percent} %": mean, f"{percent} % SD": spread}
        cells.append(line)
    doing = "removed" if order == "roar" else "kept"
    said = [
        f"Each point is the accuracy on test pictures of {runs} network{'s' if runs > 1 else ''} that "
        f"{'were' if runs > 1 else 'was'} trained from scratch after the most relevant pixels of every picture, for "
        f"training and for testing, had been {'replaced by' if order == 'roar' else 'kept and all others replaced by'} "
        "the data set's mean colour.",
        "A better method loses accuracy sooner than random pixels do."
        if order == "roar"
        else "A better method keeps more accuracy than random pixels do.",
    ]
    if order == "roar":
        said.append(
            "The pattern of what was removed is still there to be learnt: pixels that outline an object can give its "
            "class away by their absence, and then accuracy stays high although the pixels mattered."
        )
    if len(clean):
        said.append(f"The networks trained on whole pictures reach {100 * float(np.nanmean(clean)):.1f} %.")
    quiet = [place for place, name in enumerate(in_order(part["map"])) if is_baseline(name)]
    note = f"Mean over {runs} runs; bands are one standard deviation between runs."
    return Section(
        ORDERS[order],
        [
            Words(said),
            Chart(
                f"{order}-curves",
                f"Accuracy with the top pixels {doing}",
                "lines",
                pd.DataFrame(lines),
                x="Pixels (%)",
                y="Accuracy (%)",
                group="Method",
                low="Low",
                high="High",
                note=note,
            ),
            Table(
                f"{order}-accuracies",
                f"Accuracy (%) with the top pixels {doing}",
                pd.DataFrame(cells),
                f"Mean over {runs} runs, and the standard deviation (SD) between them.",
                quiet=quiet,
            ),
        ],
    )


def _areas(part: pd.DataFrame, order: str) -> Section:
    import pandas as pd

    table = areas(part).dropna()
    title = f"{order.upper()}: are the differences larger than the spread of retraining?"
    if len(table) < 2 or len(table.columns) < 2:
        return Section(title, [Words(["That takes two runs and two methods or more, each through all fractions."])])
    contrasts, lines = Contrasts(table), []
    for name in table.columns:
        values = table[name].to_numpy()
        line: dict[str, Any] = {"Method": map_title(name), "Area (%)": values.mean(), "SD": _deviation(values)}
        if RANDOM in table.columns:
            gap, low, high, _ = contrasts.of(name, RANDOM) if name != RANDOM else (0.0, 0.0, 0.0, 1.0)
            line |= {"Less random": gap, "Less random low": low, "Less random high": high}
        lines.append(line)
    pairs = told_apart(table)
    spreads = {"Less random": Spread("Less random low", "Less random high")} if RANDOM in table.columns else {}
    quiet = [place for place, name in enumerate(table.columns) if is_baseline(name)]
    return Section(
        title,
        [
            Words(spread_in_words(part, table, pairs, order)),
            Table(
                f"{order}-areas",
                "Area under the curve",
                pd.DataFrame(lines),
                f"Mean accuracy between the first and the last fraction, over {len(table)} runs; SD is that between "
                "runs. Less random: the difference to random pixels, with its 95 % interval (Student's t; the spread "
                "of retraining is pooled over all methods).",
                spreads=spreads,
                better={"Area (%)": "lower" if order == "roar" else "higher"},
                quiet=quiet,
            ),
            Table(
                f"{order}-pairs",
                "Pairs of methods",
                pairs,
                "Difference of the areas, first less second, run by run, with its 95 % interval; the spread of "
                "retraining is pooled over all methods, and the p-values of Student's t are corrected by Holm for all "
                "pairs.",
                spreads={"Difference": Spread("Difference low", "Difference high")},
            ),
        ],
    )


def told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """Every pair of maps, from areas runs x maps: the difference with its interval, and whether runs tell it."""
    import pandas as pd

    contrasts, lines, both = Contrasts(table), [], []
    for first, second in combinations(table.columns, 2):
        mean, low, high, p = contrasts.of(first, second)
        lines.append({"First": map_title(first), "Second": map_title(second), "Difference": mean})
        lines[-1] |= {"Difference low": low, "Difference high": high}
        both.append(p)
    frame = pd.DataFrame(lines)
    frame["p, Holm"] = holm(both)
    frame["Verdict"] = np.where(frame["p, Holm"] < ALPHA, DIFFER, APART)
    return frame


def spread_in_words(part: pd.DataFrame, table: pd.DataFrame, pairs: pd.DataFrame, order: str) -> list[str]:
    """How large the deviation between runs is, beside the differences between methods."""
    within = part.groupby(["map", "percent"])["accuracy"].std(ddof=1)
    worst_map, worst_percent = within.idxmax()
    means = part.groupby(["map", "percent"])["accuracy"].mean().unstack("map")
    methods = [name for name in table.columns if not is_baseline(name)]
    gaps = [float((means[a] - means[b]).abs().mean()) for a, b in combinations(methods, 2)]
    spread = float(np.sqrt((within**2).mean()))
    said = [
        f"One training differs from the next by {spread:.1f} percentage points of accuracy (standard deviation over "
        f"{len(table)} runs, pooled over methods and fractions), at most by {float(within.max()):.1f} "
        f"({map_title(worst_map)}, {worst_percent} %)."
    ]
    if gaps:
        ratio = float(np.mean(gaps)) / spread if spread else float("inf")
        size = "larger than" if ratio > 1.1 else "smaller than" if ratio < 0.9 else "about as large as"
        said.append(
            f"Two methods differ by {float(np.mean(gaps)):.1f} points on average at the same fraction, which is {size} "
            f"the spread of a single retraining ({ratio:.1f} times as large)."
        )
    sure = int((pairs["Verdict"] == DIFFER).sum())
    said.append(f"Of {len(pairs)} pairs {sure} differ in their areas by more than retraining explains (5 %, Holm).")
    if not sure and len(table) < ENOUGH:
        said.append(f"{len(table)} runs are few for such a test; with {ENOUGH} or more it tells smaller differences.")
    if RANDOM in table.columns:
        better: list[str] = []
        worse: list[str] = []
        unsure: list[str] = []
        for name in methods:
            pair = pairs[(pairs["First"] == map_title(name)) & (pairs["Second"] == map_title(RANDOM))].iloc[0]
            lower = pair["Difference"] < 0
            kind = unsure if pair["Verdict"] != DIFFER else better if lower == (order == "roar") else worse
            kind.append(map_title(name))
        for names, what in ((better, "better than"), (worse, "worse than"), (unsure, "not to be told from")):
            if names:
                said.append(f"{listed(names)} {'is' if len(names) == 1 else 'are'} {what} random pixels.")
    return said


def _deviation(values: npt.NDArray[np.float64]) -> float:
    """The standard deviation between runs; 0 for a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Contrasts:
    """What pairs of maps are judged by, from areas runs x maps: one error for all of them.

    Each area is its map's mean, what the whole run is above or below the others, and an error whose size is pooled over
    the table, with (runs - 1) x (maps - 1) degrees of freedom. Two runs alone tell too little of one pair: accuracies
    are whole numbers of test pictures, so that two gaps are often just the same. With two maps it is the paired t-test.
    """

    areas: pd.DataFrame

    @cached_property
    def freedom(self) -> int:
        runs, maps = self.areas.shape
        return int((runs - 1) * (maps - 1))

    @cached_property
    def error(self) -> float:
        """The standard error of a difference of two means; 0 where nothing is left to chance, rounding aside."""
        values = self.areas.to_numpy()
        left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
        spread = float(np.sqrt((left**2).sum() / self.freedom))
        return spread * float(np.sqrt(2 / len(values))) if spread > ROUNDING else 0.0

    def of(self, first: str, second: str) -> tuple[float, float, float, float]:
        """The difference of the means, its 95 % interval by Student's t, and the two-sided p-value.

        Without any error there is no telling how large it is: then there is no interval, and the p-value is 1.
        """
        from scipy import stats

        gap = float(self.areas[first].mean() - self.areas[second].mean())
        if not self.error:
            return gap, np.nan, np.nan, 1.0
        reach = float(stats.t.ppf(0.975, self.freedom)) * self.error
        return gap, gap - reach, gap + reach, float(2 * stats.t.sf(abs(gap) / self.error, self.freedom))
