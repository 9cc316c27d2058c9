"""Methods compared over pictures: tables of means, ranks, and which differences are more than chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..registry import Better
from ..seeds import generator
from .exhibits import Chart, Exhibit, Section, Spread, Table, Words
from .naming import (
    better,
    corruption_title,
    heading,
    in_order,
    is_baseline,
    listed,
    map_name,
    map_title,
    model_title,
    natural,
    score_title,
    slug,
)
from .statistics.factors import eta_squared
from .statistics.intervals import Interval, difference_interval, mean_interval
from .statistics.pairs import compare, holm, win_rate
from .statistics.ranks import ALPHA, Ranking, ranking

if TYPE_CHECKING:
    import pandas as pd

RANDOM = "random"
HEADINGS = {"model": "Model", "method": "Method", "corruption": "Corruption", "picture": "Picture", "score": "Score"}
APART = "cannot be told apart"
CHOICES = 400
"""How often pictures are drawn anew for the interval of an effect."""


def of_maps(rows: pd.DataFrame, scores: Sequence[str] = ()) -> pd.DataFrame:
    """The rows that are about a map, of these scores or of all, with the column `map`: "method@variant"."""
    kept = rows[(rows["method"] != "") & (rows["score"].isin(list(scores)) if scores else True)]
    names = [map_name(method, variant) for method, variant in zip(kept["method"], kept["variant"], strict=True)]
    return kept.assign(map=names)


def models_of(rows: pd.DataFrame) -> list[str]:
    """The models that rows are about, by name."""
    return sorted({name for name in rows["model"] if name})


def by_method(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """One score as a table of pictures x "method@variant", baselines last, of the rows of one model and corruption.

    Where rows differ in more, a cell is the mean over it, and undefined if one of its values is undefined or is not
    there yet.
    """
    found = of_maps(rows, [score])
    grouped = found.groupby(["picture", "map"])["value"]
    means = grouped.mean(skipna=False).where(grouped.size() == grouped.size().max())
    table: pd.DataFrame = means.unstack("map")
    return table.reindex(columns=in_order(found["map"]))


def summary(
    rows: pd.DataFrame,
    scores: Sequence[str],
    by: Sequence[str] = ("model", "method", "variant"),
    name: str = "",
    title: str = "Means",
) -> Table:
    """The mean of every score with its 95 % bootstrap interval over pictures, a row for each group of `by`.

    The mean is over the pictures' means, so that a picture with several values counts once. Baselines stand below the
    methods. Undefined values are left out, counted, and told of in the note.
    """
    import pandas as pd

    found = of_maps(rows, scores) if "method" in by else rows[rows["score"].isin(list(scores))]
    columns = list(dict.fromkeys("map" if one in ("method", "variant") else one for one in by))
    present = [score for score in scores if (found["score"] == score).any()]
    heads = _headings(present)
    spreads = {head: Spread(f"{head} low", f"{head} high", f"{head} n", f"{head} undefined") for head in heads.values()}
    lines, quiet = [], []
    for place, (group, part) in enumerate(_groups(found, columns)):
        line: dict[str, Any] = {_column(one): _shown(one, value) for one, value in zip(columns, group, strict=True)}
        by_score = dict(iter(part.groupby("score")))
        for score, head in heads.items():
            one = _over_pictures(by_score.get(score, part.iloc[:0]))
            spread = spreads[head]
            line |= {head: one.mean, spread.low: one.low, spread.high: one.high}
            line |= {spread.n: one.n, spread.undefined: one.undefined}
        lines.append(line)
        if "map" in columns and is_baseline(group[columns.index("map")]):
            quiet.append(place)
    ways = {head: way for score, head in heads.items() if (way := better(score))}
    note = " ".join(["Mean [95 % bootstrap interval over pictures].", *_undefined(found, heads)])
    return Table(
        name or slug("-".join(["means", *scores])[:60]),
        title,
        pd.DataFrame(lines),
        note,
        spreads=spreads,
        better=ways,
        quiet=quiet,
    )


def means(rows: pd.DataFrame, score: str, facet: str = "model", name: str = "") -> Chart:
    """The mean of a score for every map with its interval, as dots, with a panel for each value of `facet`."""
    import pandas as pd

    found = of_maps(rows, [score])
    lines = []
    for (panel, one), part in _groups(found, [facet, "map"]):
        mean = _over_pictures(part)
        lines.append(
            {
                "Panel": _shown(facet, panel),
                "Method": map_title(one),
                "Mean": mean.mean,
                "Low": mean.low,
                "High": mean.high,
                "Kind": "baseline" if is_baseline(one) else "method",
            }
        )
    columns = ["Panel", "Method", "Mean", "Low", "High", "Kind"]
    frame = pd.DataFrame(lines, columns=columns).rename(columns={"Mean": heading(score)})
    return Chart(
        name or f"means-{slug(score)}",
        score_title(score),
        "dots",
        frame,
        x="Method",
        y=heading(score),
        group="Kind",
        low="Low",
        high="High",
        facet="Panel" if frame["Panel"].nunique() > 1 else "",
        note="Means over pictures with their 95 % bootstrap intervals; baselines are grey.",
    )


def over_severity(rows: pd.DataFrame, score: str, lines: Literal["map", "model"] = "map", name: str = "") -> Chart:
    """The mean of a score over the severities of every corruption, a panel for each, a line for each map or model.

    Severities are numbered from 1, the mildest, since their units differ; 0 is the clean picture.
    """
    import pandas as pd

    found = of_maps(rows, [score]) if lines == "map" else rows[rows["score"] == score]
    labels = sorted(set(found["corruption"]), key=natural)
    families: dict[str, list[str]] = {}
    for label in labels:
        if label != "clean":
            families.setdefault(label.partition("=")[0], []).append(label)
    points = []
    for (one, label), part in _groups(found, [lines, "corruption"]):
        mean = _over_pictures(part)
        for family, severities in families.items():
            if label != "clean" and label not in severities:
                continue
            points.append(
                {
                    "Corruption": corruption_title(family),
                    "Severity": 0 if label == "clean" else severities.index(label) + 1,
                    _column(lines): _shown(lines, one),
                    heading(score): mean.mean,
                    "Low": mean.low,
                    "High": mean.high,
                }
            )
    order = {corruption_title(family): place for place, family in enumerate(families)}
    points.sort(key=lambda point: order[point["Corruption"]])
    told = "; ".join(
        f"{corruption_title(family)} {', '.join(label.partition('=')[2] for label in severities)}"
        for family, severities in families.items()
    )
    zero = " 0 is the clean picture." if "clean" in labels else ""
    return Chart(
        name or f"severity-{slug(score)}",
        f"{score_title(score)} over severity",
        "lines",
        pd.DataFrame(points, columns=["Corruption", "Severity", _column(lines), heading(score), "Low", "High"]),
        x="Severity",
        y=heading(score),
        group=_column(lines),
        low="Low",
        high="High",
        facet="Corruption",
        note=f"Means over pictures with their 95 % bootstrap intervals. Severities: {told}.{zero}",
    )


def compared(rows: pd.DataFrame, score: str, way: Better | None = None) -> Section:
    """Which methods differ in one score, model by model: ranks, groups that cannot be told apart, and pairs.

    `way` tells which way is better, where the registry does not.
    """
    way = way or better(score) or "higher"
    found = of_maps(rows, [score])
    exhibits: list[Exhibit] = []
    models = models_of(found) or [""]
    for model in models:
        part = found[found["model"] == model] if model else found
        table = by_method(part, score)
        head = f"{score_title(score)}{f', {model_title(model)}' if len(models) > 1 else ''}"
        end = f"{slug(score)}{f'-{slug(model)}' if len(models) > 1 else ''}"
        exhibits += _compared(table, head, end, way)
    return Section(f"{score_title(score)}: which methods differ", exhibits)


def _compared(table: pd.DataFrame, head: str, end: str, way: Better) -> list[Exhibit]:
    names = [name for name in table.columns if table[name].notna().any()]
    missing = [map_title(name) for name in table.columns if name not in names]
    said = [f"{head}: {listed(missing)} {'has' if len(missing) == 1 else 'have'} no values."] if missing else []
    if len(names) < 2:
        return [Words([*said, f"{head}: there are no two methods with values to compare."])]
    table = table[names]
    found = ranking(table.to_numpy(), way == "higher")
    pairs = _pairs(table, found, way)
    said += _in_words(table, found, pairs, head)
    exhibits: list[Exhibit] = [Words(said)]
    if found.n:
        exhibits += [_diagram(table, found, head, end), _ranks(table, found, head, end, way)]
    exhibits.append(
        Table(
            f"pairs-{end}",
            f"{head}: pairs of methods",
            pairs,
            "Difference is first less second, with its 95 % interval. The p-values are two-sided, of Wilcoxon's "
            "signed-rank test and of the sign-flip test of the mean, both corrected by Holm for all pairs of this "
            "table; the verdict is that of Wilcoxon's at 5 %, where no difference means none that this study can "
            "show. Rank-biserial correlation and Cohen's dz are positive where the first is better.",
            spreads={"Difference": Spread("Difference low", "Difference high", "Pictures")},
        )
    )
    return exhibits


def _pairs(table: pd.DataFrame, found: Ranking, way: Better) -> pd.DataFrame:
    """A line for each pair of methods, the one of better rank first."""
    import pandas as pd

    sign = 1 if way == "higher" else -1
    order = [table.columns[place] for place in np.argsort(found.mean, kind="stable")]
    lines, both = [], []
    for first, second in combinations(order, 2):
        a, b = table[first].to_numpy(), table[second].to_numpy()
        pair, difference = compare(sign * a, sign * b), difference_interval(a, b)
        both.append((pair.wilcoxon, pair.flips))
        lines.append(
            {
                "First": map_title(first),
                "Second": map_title(second),
                "Difference": difference.mean,
                "Difference low": difference.low,
                "Difference high": difference.high,
                "Pictures": pair.n,
                "Rank-biserial": pair.rank_biserial,
                "Cohen's dz": pair.dz,
            }
        )
    frame = pd.DataFrame(lines)
    frame["p Wilcoxon"] = holm([wilcoxon for wilcoxon, _ in both])
    frame["p flips"] = holm([flips for _, flips in both])
    frame.insert(2, "Verdict", [_verdict(line) for line in frame.to_dict("records")])
    return frame


def _verdict(line: dict[Hashable, Any]) -> str:
    """Who is better, if that is more than chance."""
    if not line["p Wilcoxon"] < ALPHA:
        return "no difference"
    return "first is better" if line["Rank-biserial"] > 0 else "second is better"


def _in_words(table: pd.DataFrame, found: Ranking, pairs: pd.DataFrame, head: str) -> list[str]:
    titles = [map_title(name) for name in table.columns]
    dropped = f" ({found.dropped} left out, where a value is undefined)" if found.dropped else ""
    if not found.n:
        return [f"{head}: there is no picture for which every method has a value, so there are no ranks."]
    best = [title for title, rank in zip(titles, found.mean, strict=True) if np.isclose(rank, found.mean.min())]
    who = f"{listed(best)} {'have' if len(best) > 1 else 'has'} the best mean rank"
    said = [f"{head}: {len(titles)} methods over {_pictures(found.n)}{dropped}; {who}."]
    if not math.isnan(found.p):
        verdict = "differ" if found.p < ALPHA else f"{APART} as a whole"
        said.append(f"Friedman's test: the methods {verdict} (p {_p(found.p)}).")
    groups = [listed(titles[place] for place in group) for group in found.cliques]
    if groups:
        within = f"Within Nemenyi's critical difference of {found.critical_difference:.2f} ranks"
        said.append(f"{within} these {APART}: {'; '.join(groups)}.")
    elif len(titles) > 1:
        said.append(f"By Nemenyi's critical difference of {found.critical_difference:.2f} every two methods differ.")
    sure = int((pairs["p Wilcoxon"] < ALPHA).sum())
    said.append(f"Of {len(pairs)} pairs {sure} differ by Wilcoxon's test at 5 % after Holm's correction.")
    told = pairs[pairs["p Wilcoxon"].notna()]
    most = int(told["Pictures"].max()) if len(told) else 0
    least = len(told) * 2.0 ** (1 - most)
    if least >= ALPHA and not sure and most:
        said.append(f"With {_pictures(most)} no pair could: the least corrected p-value is {min(least, 1):.2g}.")
    return said


def _diagram(table: pd.DataFrame, found: Ranking, head: str, end: str) -> Chart:
    import pandas as pd

    titles = [map_title(name) for name in table.columns]
    kinds = ["baseline" if is_baseline(name) else "method" for name in table.columns]
    return Chart(
        f"ranks-{end}",
        f"{head}: mean ranks",
        "ranks",
        pd.DataFrame({"Method": titles, "Mean rank": found.mean, "Kind": kinds}),
        x="Method",
        y="Mean rank",
        group="Kind",
        cliques=[[titles[place] for place in group] for group in found.cliques],
        note=f"1 is best. Methods that a bar joins {APART} (Nemenyi, 5 %, critical difference "
        f"{found.critical_difference:.2f}, {_pictures(found.n)}).",
        reach=found.critical_difference,
    )


def _ranks(table: pd.DataFrame, found: Ranking, head: str, end: str, way: Better) -> Table:
    import pandas as pd

    sign = 1 if way == "higher" else -1
    order = np.argsort(found.mean, kind="stable")
    groups = found.cliques
    lines = []
    for place in order:
        name = table.columns[place]
        values = table[name].to_numpy()
        mean = mean_interval(values)
        within = [chr(ord("a") + number % 26) for number, group in enumerate(groups) if place in group]
        line = {"Method": map_title(name), "Mean rank": found.mean[place], "Group": ", ".join(within)}
        line |= {"Mean": mean.mean, "Mean low": mean.low, "Mean high": mean.high}
        line |= {"Pictures": mean.n, "Undefined": mean.undefined}
        if RANDOM in table.columns:
            rate = math.nan if name == RANDOM else win_rate(sign * values, sign * table[RANDOM].to_numpy())
            line["Beats random (%)"] = 100 * rate
        lines.append(line)
    return Table(
        f"rank-table-{end}",
        f"{head}: ranks and means",
        pd.DataFrame(lines),
        f"Methods that share a letter {APART} by Nemenyi's test. Beats random: the part of the pictures on which the "
        "value is better than the random map's, a tie counting as half.",
        spreads={"Mean": Spread("Mean low", "Mean high", "Pictures", "Undefined")},
        quiet=[line for line, place in enumerate(order) if is_baseline(table.columns[place])],
    )


def effects(rows: pd.DataFrame, factors: Sequence[str], score: str, name: str = "") -> Table:
    """How much of the variance of a score each factor explains, the pictures' own means taken away before.

    `factors` are columns of `rows`. Eta squared is in [0, 1], its interval from pictures that are drawn anew; best
    and worst are the levels with the greatest and least mean, for scores of which less is better the other way.
    """
    import pandas as pd

    found = rows[(rows["score"] == score) & np.isfinite(rows["value"])]
    values = found["value"].to_numpy(dtype=np.float64)
    pictures, _ = pd.factorize(found["picture"])
    lines = []
    for factor in factors:
        levels, names = pd.factorize(found[factor])
        eta = eta_squared(values, levels, pictures)
        low, high = _eta_bounds(values, levels, pictures)
        level_means = found.groupby(factor)["value"].mean()
        ends = [level_means.idxmax(), level_means.idxmin()] if len(level_means) else ["", ""]
        first, second = ends if better(score) != "lower" else ends[::-1]
        line = {"Factor": _plain_factor(factor), "Eta squared": eta, "Eta squared low": low, "Eta squared high": high}
        line |= {"Levels": len(names), "Best": str(first), "Worst": str(second)}
        if len(level_means) > 1:
            each = found.pivot_table(index="picture", columns=factor, values="value")
            gap = difference_interval(each[first].to_numpy(), each[second].to_numpy())
        else:
            gap = mean_interval([])
        line |= {"Difference": gap.mean, "Difference low": gap.low, "Difference high": gap.high}
        lines.append(line)
    return Table(
        name or f"effects-{slug(score)}",
        f"{score_title(score)}: what makes the difference",
        pd.DataFrame(lines),
        f"Eta squared: the part of the variance within pictures that lies between a factor's levels, over "
        f"{_pictures(len(set(pictures)))}. Difference: mean of the best level less that of the worst, picture by "
        "picture. Brackets: 95 % bootstrap intervals over pictures.",
        spreads={
            "Eta squared": Spread("Eta squared low", "Eta squared high"),
            "Difference": Spread("Difference low", "Difference high"),
        },
    )


def _eta_bounds(values: Any, levels: Any, pictures: Any) -> tuple[float, float]:
    """The 95 % percentile interval of eta squared over pictures drawn with replacement."""
    rows_of = [np.flatnonzero(pictures == one) for one in range(int(pictures.max(initial=-1)) + 1)]
    if len(rows_of) < 2:
        return math.nan, math.nan
    random = generator(0, "effects")
    found = []
    for _ in range(CHOICES):
        drawn = [rows_of[one] for one in random.integers(0, len(rows_of), len(rows_of))]
        places = np.concatenate(drawn)
        blocks = np.repeat(np.arange(len(drawn)), [len(one) for one in drawn])
        found.append(eta_squared(values[places], levels[places], blocks))
    known = [one for one in found if not math.isnan(one)]
    if not known:
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _over_pictures(part: pd.DataFrame) -> Interval:
    """The mean over pictures, each with the mean of its defined values; undefined ones are counted one by one."""
    undefined = int(part["value"].isna().sum())
    kept = part[part["value"].notna()]
    found = mean_interval(kept.groupby("picture")["value"].mean().to_numpy())
    return Interval(found.mean, found.low, found.high, found.n, undefined)


def _groups(found: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The groups of rows in the order in which people expect them."""
    maps = {name: place for place, name in enumerate(in_order(found["map"]))} if "map" in columns else {}

    def key(group: tuple[Any, ...]) -> list[Any]:
        return [
            (maps[value], []) if one == "map" else natural(str(value))
            for one, value in zip(columns, group, strict=True)
        ]

    parts = dict(iter(found.groupby(list(columns))))
    return iter((group, parts[group]) for group in sorted(parts, key=key))


def _headings(scores: Sequence[str]) -> dict[str, str]:
    """Headings by score; two that read the same get the score's name."""
    heads = {score: heading(score) for score in scores}
    count = Counter(heads.values())
    return {score: f"{head} ({score})" if count[head] > 1 else head for score, head in heads.items()}


def _undefined(found: pd.DataFrame, heads: dict[str, str]) -> list[str]:
    """Sentences on scores of which values are undefined, with the most frequent reason."""
    said: dict[str, list[str]] = {}
    for score in heads:
        part = found[found["score"] == score]
        gaps = part[part["value"].isna()]
        if len(gaps):
            reason, _ = Counter(gaps["reason"]).most_common(1)[0]
            why = f", mostly: {reason}" if reason else ""
            how = f"{len(gaps)} of {len(part)} values are undefined{why.rstrip('.')}."
            said.setdefault(how, []).append(score_title(score))
    return [f"{'; '.join(titles)}: {how}" for how, titles in said.items()]


def _column(name: str) -> str:
    return "Method" if name == "map" else HEADINGS.get(name, _plain_factor(name))


def _shown(column: str, value: Any) -> Any:
    titles = {"map": map_title, "model": model_title, "corruption": corruption_title}
    return titles[column](str(value)) if column in titles else value


def _plain_factor(name: str) -> str:
    return (name[:1].upper() + name[1:]).replace("_", " ")


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
