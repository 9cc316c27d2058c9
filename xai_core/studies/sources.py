"""The tables of S0 and S1 beside ours, the settings that differ, and what became of the conclusions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..classifiers.cards import Card
from ..engine.comparison import Variant
from ..registry import CORRUPTIONS, METHODS
from .claims import Claim, Side, preferred, verdicts
from .exhibits import Section, Spread, Table, Words
from .naming import corruption_title, heading, map_title, model_title
from .plan import Plan
from .published import (
    S0_FALSE,
    S0_MSE,
    S0_SEVERITIES,
    S0_SOURCE,
    S1,
    S1_MODELS,
    S1_PICTURES,
    S1_SCALE,
    S1_SCORES,
    S1_SOURCE,
    contradictions,
)
from .statistics.intervals import mean_interval

if TYPE_CHECKING:
    import pandas as pd

FAR = 1.5
"""How many times as great is far above."""
FAR_RAW = 10.0
"""The same for S0's raw scales, which are thousands apart."""


# -- S1 ---------------------------------------------------------------------------------------------------------------


def s1_sections(plan: Plan, rows: pd.DataFrame) -> list[Section]:
    """S1's tables and conclusions beside ours."""
    cards = _by_architecture(plan.cards)
    flags = [
        f"{map_title(one.method)} on {S1_MODELS[one.architecture]}, combined ROAD: {one.words}."
        for one in contradictions()
    ]
    said = [
        f"Printed: {S1_SOURCE}. Everything is in percent; a dash is what was not run, or is undefined.",
        f"S1 contradicts itself in {len(flags)} cells, where combined is not (b − s) / 2: {' '.join(flags)}",
    ]
    parts = {
        "published-s1-occlusion": ("Confidence, background (b) and subject (s) covered", S1_SCORES[:4]),
        "published-s1-road": ("ROAD: least relevant first (b), most relevant first (s)", S1_SCORES[4:7]),
        "published-s1-iou": ("IoU with masks", S1_SCORES[7:]),
    }
    tables = [_s1_table(name, title, scores, cards, rows) for name, (title, scores) in parts.items()]
    return [
        Section("Published beside measured", [Words(said), *tables, _s1_settings(plan)]),
        Section("What became of S1's conclusions", verdicts(s1_claims(plan.cards), rows, "conclusions-s1", "S1")),
    ]


def _by_architecture(cards: Iterable[Card]) -> dict[str, Card]:
    """The first card of each of torchvision's architectures."""
    found: dict[str, Card] = {}
    for card in cards:
        kind, _, name = card.architecture.partition("/")
        if kind == "torchvision":
            found.setdefault(name, card)
    return found


def _s1_table(name: str, title: str, scores: Sequence[str], cards: dict[str, Card], rows: pd.DataFrame) -> Table:
    import pandas as pd

    flagged = {(one.architecture, one.method): one.sign for one in contradictions()}
    lines, spreads = [], {}
    for (architecture, method), values in S1.items():
        line: dict[str, Any] = {"Model": S1_MODELS[architecture], "Method": map_title(method)}
        printed = dict(zip(S1_SCORES, values, strict=True))
        for score in scores:
            here = f"{_short(score)} here"
            line[f"{_short(score)} printed"] = printed[score]
            if score == "road.combined":
                line["Flag"] = flagged.get((architecture, method), "")
            card = cards.get(architecture)
            kept = Side(score, card.name, method).values(rows) if card else []
            one = mean_interval([S1_SCALE[score] * float(value) for value in kept])
            line |= {here: one.mean, f"{here} low": one.low, f"{here} high": one.high}
            line |= {f"{here} n": one.n, f"{here} undefined": one.undefined}
            spreads[here] = Spread(f"{here} low", f"{here} high", f"{here} n", f"{here} undefined")
        lines.append(line)
    note = " ".join(f"{_short(score)}: {heading(score)}." for score in scores)
    if "road.combined" in scores:
        note += " Flag: what S1's own formula gives, where it is not what was printed."
    return Table(name, title, pd.DataFrame(lines), note, digits=4, spreads=spreads)


def _short(score: str) -> str:
    return {
        "occlusion.background_increase": "b increase",
        "occlusion.background_drop": "b drop",
        "occlusion.subject_increase": "s increase",
        "occlusion.subject_drop": "s drop",
        "road.lerf": "b",
        "road.morf": "s",
        "road.combined": "combined",
    }.get(score, "mIoU")


def _s1_settings(plan: Plan) -> Table:
    occlusion, road, iou = (plan.score(name).model_dump() for name in ("occlusion", "road", "iou"))
    seen = len(plan.pictures.entries) if plan.pictures is not None else 0
    shap = _told(plan, "shap")
    layer = "not run" if shap is None else f"expected gradients at {shap.parameters.model_dump()['layer']}"
    return _settings_table(
        "settings-s1",
        "S1",
        [
            ("Pictures", f"Imagenet50, {S1_PICTURES}", f"{seen}, from {_folder(plan)}"),
            ("Models and weights", "torchvision's pretrained, version not stated", _weights(plan.cards)),
            ("Class", "not stated; Imagenet50 has no labels", "each model's own top class on the clean picture"),
            ("Subject", "threshold not stated", f"the top {occlusion['fraction']:.0%} of the pixels, by rank"),
            ("Covered pixels", "fill not stated", f"{occlusion['fill']}"),
            ("Confidence", "logit or softmax not stated", "softmax"),
            ("ROAD", "percentiles not stated", f"{road['steps']} fractions from 10 % to 90 %, noise {road['noise']:g}"),
            ("Layer of Grad-CAM", "not stated", ", ".join(f"{card.title}: {card.cam_layer}" for card in plan.cards)),
            ("SHAP", "shap's GradientExplainer at layer 7, which is another depth in each model", layer),
            ("Masks", "drawn by hand; by whom, and which, is not stated", plan.choice.masks),
            ("IoU", "threshold not stated", f"the top {iou['fraction']:.0%} of the pixels"),
        ],
    )


def s1_claims(cards: Sequence[Card]) -> list[Claim]:
    """What S1 concludes; what it says of each model is asked of every model that was run."""
    known = {name: card.name for name, card in _by_architecture(cards).items()}
    vgg, resnet, densenet = (known.get(name, name) for name in S1_MODELS)
    claims = [
        Claim(
            "Grad-CAM's combined ROAD grows from VGG-16 over ResNet-50 to DenseNet-121",
            _rising("road.combined", "gradcam", (vgg, resnet, densenet)),
        ),
        Claim(
            "Grad-CAM's mIoU grows from VGG-16 over ResNet-50 to DenseNet-121",
            _rising("iou.top", "gradcam", (vgg, resnet, densenet)),
        ),
        Claim(
            "SHAP's mIoU is above Grad-CAM's on VGG-16",
            [(Side("iou.top", vgg, "shap"), Side("iou.top", vgg, "gradcam"))],
        ),
        Claim(
            "SHAP's mIoU is below Grad-CAM's on ResNet-50 and DenseNet-121",
            [(Side("iou.top", model, "gradcam"), Side("iou.top", model, "shap")) for model in (resnet, densenet)],
        ),
    ]
    for model in [card.name for card in cards] or [vgg, resnet, densenet]:

        def pair(score: str, first: str, second: str, model: str = model) -> list[tuple[Side, Side]]:
            return [(Side(score, model, first), Side(score, model, second))]

        claims += [
            Claim(
                "the confidence drops more with SHAP's subject covered than with Grad-CAM's",
                pair("occlusion.subject_drop", "shap", "gradcam"),
                where=model,
            ),
            Claim(
                f"with the background covered it drops far more (at least {FAR:g} times) for SHAP than for Grad-CAM",
                pair("occlusion.background_drop", "shap", "gradcam"),
                FAR,
                model,
            ),
            Claim("Grad-CAM's combined ROAD is above SHAP's", pair("road.combined", "gradcam", "shap"), where=model),
        ]
    return claims


def _rising(score: str, method: str, models: Sequence[str]) -> list[tuple[Side, Side]]:
    sides = [Side(score, model, method) for model in models]
    return [(later, earlier) for earlier, later in pairwise(sides)]


# -- S0 ---------------------------------------------------------------------------------------------------------------

S0_METHODS = ("smoothgrad", "lime")


def s0_sections(plan: Plan, rows: pd.DataFrame) -> list[Section]:
    """S0's tables and conclusions beside ours, model by model."""
    said = [
        f"Printed: {S0_SOURCE}, ResNet-50.",
        "S0's two tables of robustness are on different scales: SmoothGrad's gradients, and LIME's masks of −1, 0 and "
        "1. A mean squared error grows with the square of the scale, so raw values tell nothing about which method is "
        "more robust; the scaled ones, of maps from 0 to 1, are what may be compared.",
        "S0 names a false positive rate without defining it. LIME's 0.86 to 0.99 cannot be one where little is "
        "highlighted, but fits a false discovery rate; both stand here. In its row of LIME under occlusion 0.88 is "
        "marked as the lowest, which is 0.86.",
    ]
    tables = [_s0_table(card.name, len(plan.cards) > 1, rows) for card in plan.cards]
    claims = [claim for card in plan.cards for claim in s0_claims(card.name)]
    return [
        Section("Published beside measured", [Words(said), *tables, _s0_settings(plan)]),
        Section("What became of S0's conclusions", verdicts(claims, rows, "conclusions-s0", "S0")),
    ]


def _s0_table(model: str, several: bool, rows: pd.DataFrame) -> Table:
    import pandas as pd

    ours = {
        "MSE here": "robustness.raw_mse",
        "MSE here, scaled": "robustness.mse",
        "False positives here": "false_positive_rate.rate",
        "False discoveries here": "false_positive_rate.discovery",
    }
    lines = []
    for (method, corruption), printed in S0_MSE.items():
        for place, severity in enumerate(S0_SEVERITIES[corruption]):
            label = f"{corruption}={severity:g}"
            line: dict[str, Any] = {"Method": map_title(method), "Corruption": corruption_title(label)}
            means = {}
            for name, score in ours.items():
                one = mean_interval(Side(score, model, method, label, "s0").values(rows).to_numpy())
                means[name] = {name: one.mean, f"{name} low": one.low, f"{name} high": one.high}
                means[name] |= {f"{name} n": one.n, f"{name} undefined": one.undefined}
            first, second, third, fourth = means.values()
            line |= {"MSE printed": printed[place], **first, **second}
            line |= {"False positives printed": S0_FALSE[method, corruption][place], **third, **fourth}
            lines.append(line)
    return Table(
        f"published-s0-{model.replace('_', '-')}" if several else "published-s0",
        f"Robustness and false positives{f', {model_title(model)}' if several else ''}",
        pd.DataFrame(lines),
        "Less is better throughout. A dash is what was not run.",
        spreads={name: Spread(f"{name} low", f"{name} high", f"{name} n", f"{name} undefined") for name in ours},
    )


def _s0_settings(plan: Plan) -> Table:
    smooth, lime = (_told(plan, name, "s0") for name in S0_METHODS)
    study = plan.study.model_dump()
    stability = plan.score("stability", pictures=study["pictures"]).model_dump()
    false = plan.score("false_positive_rate", runs=study["runs"]).model_dump()
    occlusion = CORRUPTIONS["occlusion"].make().model_dump()
    seen = len(plan.pictures.entries) if plan.pictures is not None else 0
    return _settings_table(
        "settings-s0",
        "S0",
        [
            ("Pictures", "6 of ImageNet's training pictures in the public notebook", f"{seen}, from {_folder(plan)}"),
            ("Model", "microsoft/resnet-50 of Hugging Face, with its own preprocessing", _weights(plan.cards)),
            (
                "Class",
                "0 for every picture in the notebook's SmoothGrad",
                "the model's own top class on the clean picture",
            ),
            ("SmoothGrad", "50 samples, noise 0.15, the mean of absolute gradients", _variant(smooth)),
            ("LIME", "50 samples; maps are masks of −1, 0 and 1", f"{_variant(lime)}; maps are superpixels' weights"),
            ("Noise and resolution", "values truncated to bytes", "values rounded to bytes"),
            (
                "Occlusion",
                "10, 30 and 50 % of height and width in the notebook: 1, 9 and 25 % of the area",
                f"10, 30 and 50 % of the {'side' if 'side' in str(occlusion.get('measure', '')) else 'area'}",
            ),
            ("Robustness", "MSE of maps as they are", "MSE of maps scaled to 0 to 1, and of maps as they are"),
            ("Stability", "k not stated", f"k = {stability['pictures']}"),
            ("Pseudo ground truth", "about 30 runs, threshold not stated", _truth(false)),
        ],
    )


def _truth(values: dict[str, Any]) -> str:
    part = f", {values['fraction']:.0%}" if values.get("rule") == "top" else ""
    return f"{values['runs']} runs, highlighted by {values['rule']}{part}"


def s0_claims(model: str) -> list[Claim]:
    """What S0 concludes, asked of one model."""
    claims = []
    for method in S0_METHODS:
        worst = Side("robustness.mse", model, method, "resolution", "s0")
        others = [Side("robustness.mse", model, method, name, "s0") for name in ("gaussian_noise", "occlusion")]
        text = f"lower resolution changes {map_title(method)}'s maps more than noise and occlusion do (MSE, scaled)"
        claims.append(Claim(text, [(worst, other) for other in others], where=model))
    smooth, lime = ([(score, name) for score in _S0_COMPARED] for name in S0_METHODS)
    for (score, first), (_, second) in zip(lime, smooth, strict=True):
        text, factor = _S0_COMPARED[score]
        claims.append(
            Claim(text, [(Side(score, model, first, "", "s0"), Side(score, model, second, "", "s0"))], factor, model)
        )
    return claims


_S0_COMPARED = {
    "robustness.raw_mse": (f"LIME's raw MSE is far above SmoothGrad's (at least {FAR_RAW:g} times)", FAR_RAW),
    "robustness.mse": ("LIME's MSE is above SmoothGrad's on scaled maps too", 1.0),
    "false_positive_rate.rate": ("LIME's false positive rate is above SmoothGrad's", 1.0),
    "false_positive_rate.discovery": ("LIME's false discovery rate is above SmoothGrad's", 1.0),
}


# -- both -------------------------------------------------------------------------------------------------------------


def _settings_table(name: str, source: str, lines: Sequence[tuple[str, str, str]]) -> Table:
    import pandas as pd

    return Table(
        name,
        "Settings that differ, or that the source leaves open",
        pd.DataFrame(lines, columns=["Setting", source, "Here"]),
    )


def _weights(cards: Sequence[Card]) -> str:
    return ", ".join(
        f"{card.title} ({card.weights if isinstance(card.weights, str) else card.weights.file})" for card in cards
    )


def _folder(plan: Plan) -> str:
    text = plan.choice.pictures
    return text.rstrip("/").rpartition("/")[2] or text


def _told(plan: Plan, method: str, variant: str = "") -> Variant | None:
    """The variant of a method whose values stand beside the source's."""
    found = {one.label: one for one in plan.variants if one.method == method}
    return found.get(preferred(found, variant))


def _variant(variant: Variant | None) -> str:
    if variant is None:
        return "not run"
    values = variant.parameters.model_dump()
    kept = {name: values[name] for name in ("samples", "noise_level", "average", "segmentation") if name in values}
    return (
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in kept.items()) or METHODS[variant.method].title
    )
