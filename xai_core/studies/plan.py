"""What somebody asks of a study, as JSON, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..classifiers.cards import Card
from ..corruptions.chain import Step, chain, label
from ..engine.comparison import Variant, check_used, variants_for
from ..engine.requests import Evaluate, Explain, Predict, evaluate, prepare_input
from ..explainers.baselines import BASELINES
from ..registry import METHODS, MODELS, SCORES, STUDIES, Parameters, Spec
from ..scores.base import ScoreMethod
from ..seeds import derive
from ..types import Cost, XaiError
from .base import Place, Study, Subject, Unit
from .masks import Masks, masks_for
from .pictures import Entry, PictureSet, open_set

Values = dict[str, dict[str, object]]
MOST_SEED = 2**62
"""The greatest seed: rows keep 64 bits, and studies add to it."""
OWN = "folder"
"""The value of a parameter by which a study that has pictures of its own takes the user's instead."""


class Choice(BaseModel):
    """Everything that decides a study's rows; `study.json` keeps it, and who resumes a study gives the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    pictures: str = ""
    """A folder or a gallery, as `pictures.open_set` reads it."""
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    """As on the command line: NAME, or NAME@LABEL."""
    limit: int | None = None
    preset: Literal["quick", "balanced", "paper"] = "paper"
    seed: int = Field(0, ge=0, le=MOST_SEED)
    masks: str = "all"
    """Whose masks are the ground truth; see `masks.masks_for`."""
    set: Values = {}
    """Parameters of methods, by name."""
    set_score: Values = {}
    set_study: dict[str, object] = {}

    @classmethod
    def read(cls, text: str) -> Choice:
        """The choice in a JSON text; raises `XaiError`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise XaiError(f"The study's settings cannot be read: {error.errors()[0]['msg']}.") from None

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Choice:
        """The choice of these values; raises `XaiError`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise XaiError(f"The study's settings do not fit: {where}: {first['msg']}.") from None


@dataclass(frozen=True, eq=False)
class Opening:
    """A picture before a model; its class is known when `request` has a result. `clean` still lacks the target."""

    clean: Subject

    @cached_property
    def request(self) -> Predict:
        return Predict(self.clean.input)

    def subject(self, target: int) -> Subject:
        """The subject, with the class that is explained."""
        return replace(self.clean, place=replace(self.clean.place, target=target))


@dataclass(frozen=True)
class Size:
    """How much there is to do, at most."""

    units: int
    passes: int


@dataclass(frozen=True, eq=False)
class Plan:
    """A study with all that it works on; made by `plan_of`."""

    choice: Choice
    spec: Spec
    study: Study
    pictures: PictureSet | None
    cards: tuple[Card, ...]
    variants: tuple[Variant, ...]
    masks: Masks

    @property
    def seed(self) -> int:
        return self.choice.seed

    def seed_of(self, entry: Entry) -> int:
        """A picture's own seed, in [0, 2^30): pictures that shared their noise would not be independent draws."""
        return derive(self.seed, "picture", entry.name) % 2**30

    @cached_property
    def baselines(self) -> tuple[Variant, ...]:
        """The maps that explain nothing and stand beside every method; those that were chosen are left out."""
        chosen = {variant.name for variant in self.variants}
        return tuple(Variant(name, METHODS[name].make()) for name in BASELINES if name not in chosen)

    @property
    def shown(self) -> tuple[Variant, ...]:
        """The methods that were chosen, and the baselines."""
        return (*self.variants, *self.baselines)

    def openings(self, entries: Sequence[Entry] | None = None) -> Iterator[Opening]:
        """Every picture before every model; raises `XaiError` for a picture that cannot be read."""
        if entries is None:
            entries = self.pictures.entries if self.pictures is not None else ()
        for entry in entries:
            picture = entry.open()
            mask = self.masks(picture)
            for card in self.cards:
                seed = self.seed_of(entry)
                place = Place(entry.name, picture.digest, entry.truth(card), model=card.name, seed=seed)
                yield Opening(Subject(picture, mask, card, prepare_input(picture, card, (), seed), place))

    def score(self, name: str, **values: object) -> Parameters:
        """A score's parameters: the preset's, on top what the study sets, and on top of that what the user sets."""
        return SCORES[name].make({**values, **self.choice.set_score.get(name, {})}, self.choice.preset)

    def check_scores(self) -> None:
        """Raises `XaiError` when parameters are set for a score that the study does not ask for.

        The weights must be here, and the first picture is opened.
        """
        if self.choice.set_score:
            pictures = self.pictures.entries if self.pictures is not None else ()
            units = [unit for one in self.openings(pictures[:1]) for unit in self.study.units(self, one.subject(0))]
            used = {unit.request.score for unit in units if isinstance(unit.request, Evaluate)}
            check_used(self.choice.set_score, used, "score")

    def explain(self, subject: Subject, variant: Variant, corruptions: Sequence[Step] = (), seed: int = 0) -> Explain:
        """The request for one map of a subject; `seed` is added to the picture's, for its noise too."""
        own = subject.place.seed + seed
        given = replace(subject.input, corruptions=chain(corruptions), seed=own)
        return Explain(given, variant.method, variant.parameters, subject.target, own)

    def place(self, subject: Subject, request: Explain, variant: Variant) -> Place:
        """Where the values of a map belong."""
        return replace(
            subject.place,
            corruption=label(request.input.corruptions),
            method=variant.method,
            variant=variant.label,
            seed=request.seed,
        )

    def evaluation(self, subject: Subject, request: Explain, variant: Variant, name: str, **values: object) -> Unit:
        """The unit for one score of one map; `values` are the study's parameters of the score."""
        parameters = self.score(name, **values)
        score, each = cast(ScoreMethod, parameters), request.cost
        others = score.known_maps(request.input.corruptions, request.seed)
        return Unit(
            self.place(subject, request, variant),
            evaluate(request, name, parameters, subject.card, subject.mask, subject.picture),
            further=tuple(request.another(change) for change in others),
            more=Cost(each.forward * score.further_maps, each.backward * score.further_maps),
        )

    def size(self) -> Size:
        """Units and passes of the whole, at most: as if every picture took what the first one takes."""
        pictures = self.pictures.entries if self.pictures is not None else ()
        first = [unit for one in self.openings(pictures[:1]) for unit in self.study.units(self, one.subject(0))]
        trials = list(self.study.trials(self))
        return Size(
            len(pictures) * len(first) + len(trials),
            len(pictures) * (_passes(first) + len(self.cards)) + _passes(trials),
        )


def _passes(units: Sequence[Unit]) -> int:
    """Passes of units; a result that several of them need is counted once."""
    counted: set[str] = set()
    return sum(unit.passes(counted) for unit in units)


def plan_of(choice: Choice) -> Plan:
    """The plan for a choice; raises `XaiError` for what does not fit. Weights need not be here yet."""
    spec = STUDIES[choice.study]
    study = cast(Study, spec.make(choice.set_study, choice.preset))
    if not study.of_methods and (choice.methods or choice.set):
        raise XaiError(f"The study {choice.study} has methods of its own, so it takes none, and no parameters of them.")
    for name, values in choice.set_score.items():
        SCORES[name].make(values, choice.preset)
    methods = choice.methods or study.default_methods
    variants = tuple(variants_for(methods, choice.preset, choice.set)) if study.of_methods else ()
    if not study.of_pictures:
        for given, what in ((choice.models, "models"), (choice.limit, "limit"), (choice.masks != "all", "masks")):
            if given:
                raise XaiError(f"The study {choice.study} trains networks of its own, so it takes no {what}.")
        own = [option.name for option in spec.options if OWN in option.choices]
        if choice.pictures and all(getattr(study, name) != OWN for name in own):
            how = "".join(f", or add --set-study {name}={OWN}" for name in own)
            raise XaiError(f"The study {choice.study} has pictures of its own: name none{how}.")
        plan = Plan(choice, spec, study, None, (), variants, masks_for("none"))
        next(study.trials(plan), None)  # what does not fit is said now
        return plan
    if not choice.pictures:
        raise XaiError(f"The study {choice.study} looks at pictures: name a folder with them, or gallery:photos.")
    cards = tuple(MODELS[name] for name in choice.models or study.default_models)
    pictures = open_set(choice.pictures, choice.limit)
    return Plan(choice, spec, study, pictures, cards, variants, masks_for(choice.masks))
