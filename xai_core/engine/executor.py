"""Computes requests in this process: loads models, applies corruptions, runs explainers and scores, keeps results."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from .. import settings
from ..classifiers.cards import Card
from ..classifiers.evaluator import Classifier
from ..corruptions import chain
from ..explainers.base import Drawer, Explainer
from ..images import galleries
from ..images.geometry import picture_frame
from ..registry import METHODS, MODELS, SCORES
from ..scores.base import ScoreMethod, Undefined, undefined, unusable
from ..scores.imputation import compile_solver
from ..scores.ranking import is_flat
from ..trials.base import TrialMethod
from ..types import (
    Another,
    Blocks,
    Cost,
    Curve,
    Floats,
    Imagined,
    Picture,
    Prediction,
    Probed,
    Randomised,
    SaliencyMap,
    Score,
    XaiError,
    digest_of,
    frozen,
)
from .cache import Cache
from .lab import EngineLab
from .packing import Result
from .probing import probe
from .requests import Evaluate, Explain, GivenMap, Imagine, Input, Predict, Probe, Profile, Request, Survey, Trial
from .run import EngineRun, Watch
from .tuning import Batches

log = logging.getLogger(__name__)


def choose_device() -> torch.device:
    """The device that the setting asks for; raises `XaiError` when this machine does not have it."""
    wanted = settings.current().device.lower()
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n", 1)[0]
        raise XaiError(f"The setting XAI_DEVICE={wanted} cannot be used ({reason}); set it to auto or cpu.") from None
    return device


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory for the next batch instead of giving it back to the system each time.

    Every pass allocates the same large activations again; faulting their pages in anew costs up to half of the time.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        for option, value in ((-4, 0), (-1, 2**31 - 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
            library.mallopt(option, value)


class Executor:
    """Computes one request after the other on one device; not for several threads at once."""

    def __init__(self, cache: Cache | None = None):
        now = settings.current()
        self.device = choose_device()
        keep_freed_memory()
        self.cache = cache or Cache.from_settings()
        self._models: OrderedDict[str, Classifier] = OrderedDict()
        self._models_limit = now.models_mb * settings.MEGABYTE
        self._pictures: OrderedDict[tuple[str, str], torch.Tensor] = OrderedDict()
        self._randomised: OrderedDict[tuple[Classifier, Randomised], Classifier] = OrderedDict()
        """Classifiers with layers that were initialised anew, and what each was made from; several maps take one."""
        torch.set_num_threads(now.cpu_threads)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        self._batch = now.batch
        self.batches = Batches(self.device, self._machine)

    @property
    def profile(self) -> Profile:
        """What results are bit-equal within; `batches` are those of models for which another size was measured."""
        batches = {} if self._batch else {"batches": self.batches.known}
        return {**self._machine, "batch": self._batch or self.batches.default, **batches}

    @property
    def _machine(self) -> Profile:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {
            "device": name,
            "dtype": "float32",
            "threads": torch.get_num_threads() if self.device.type == "cpu" else 0,
            "memory_format": "channels_last",
            "folded": True,
            "torch": str(torch.__version__),
        }

    def compute(self, request: Request, watch: Watch | None = None) -> Result:
        """The result of a request, from the cache where it is there.

        Raises `XaiError` with a sentence, and `Cancelled` between two batches when `watch` says so.
        """
        watch = watch or Watch()
        self._measure_batch(request)
        key = request.key(self.profile)
        result = self.cache.get(key)
        if result is None:
            watch.check()
            result = self._computed(request, key, watch)
            self.cache.put(key, result)
        return result

    def _computed(self, request: Request, key: str, watch: Watch) -> Result:
        if isinstance(request, Predict):
            return self._predict(request, key, watch)
        if isinstance(request, Explain):
            return self._explain(request, key, watch)
        if isinstance(request, Imagine):
            return self._imagine(request, key, watch)
        if isinstance(request, Evaluate):
            return self._evaluate(request, key, watch)
        if isinstance(request, Probe):
            return self._probe(request, key, watch)
        if isinstance(request, Survey):
            return self._survey(request, key)
        if isinstance(request, Trial):
            return self._trial(request, key, watch)
        raise TypeError(f"cannot compute a {type(request).__name__}")

    def classifier(self, name: str) -> Classifier:
        """A loaded classifier; the least recently used ones are dropped when they are too many megabytes."""
        card: Card = MODELS[name]
        known = self._models.get(name)
        if known is None or known.card is not card:
            self._drop(name)
            known = self._models[name] = Classifier.load(card, self.device)
        self._models.move_to_end(name)
        self._make_room(0)
        while len(self._models) > 1 and sum(one.bytes for one in self._models.values()) > self._models_limit:
            self._drop(next(iter(self._models)))
        return known

    def _measure_batch(self, request: Request) -> None:
        """Before the first key of a model on a GPU: the batch size is part of it."""
        given = request.input
        if given is None or self.device.type == "cpu" or self._batch:
            return
        if given.card not in self.batches.known:
            self.batches.of(self.classifier(given.model))

    def batch_for(self, classifier: Classifier) -> int:
        """Pictures per pass of a classifier; fewer once memory was short."""
        if not classifier.digest:  # a trial's own
            return classifier.batch or self._batch or self.batches.default
        known = self._batch or self.batches.of(classifier)
        if 0 < classifier.batch < known:  # memory was short
            self.batches.remember(classifier, classifier.batch)
        return min(classifier.batch or known, known)

    def _profile_of(self, run: EngineRun) -> Profile:
        return {**self._machine, "batch": run.batch}

    def _drop(self, name: str) -> None:
        self._models.pop(name, None)
        for made in [made for made in self._randomised if made[0].card.name == name]:
            del self._randomised[made]
        for held in [held for held in self._pictures if held[0] == name]:
            del self._pictures[held]

    def _run(self, given: Input, target: int, seed: int, expected: Cost, watch: Watch, **facts: Any) -> EngineRun:
        classifier = self.classifier_for(given)
        corrupted = chain.apply(given.frame, given.corruptions, given.seed)
        pictures = lambda name: self._background(name, classifier)  # noqa: E731
        batch = self.batch_for(classifier)
        facts["corruptions"] = given.corruptions
        return EngineRun(classifier, corrupted.pixels, target, seed, batch, expected, pictures, watch, **facts)

    def classifier_for(self, given: Input) -> Classifier:
        """The classifier that an input names, with the layers initialised anew that it asks for."""
        classifier = self.classifier(given.model)
        if classifier.digest != given.card:  # one of them is from before the weights changed
            self._drop(given.model)
            classifier = self.classifier(given.model)
        if classifier.digest != given.card:
            raise XaiError(f"The model {given.model} has changed since it was chosen; choose it again.")
        if given.randomised is None:
            return classifier
        wanted = (classifier, given.randomised)
        if wanted not in self._randomised:
            self._make_room(classifier.bytes)
            self._randomised[wanted] = Classifier.load(classifier.card, self.device, given.randomised)
        self._randomised.move_to_end(wanted)
        return self._randomised[wanted]

    def _make_room(self, needed: int) -> None:
        """Forgets the least recently used of the changed classifiers until there is room for another one."""
        held = (*self._models.values(), *self._randomised.values())
        taken = sum(one.bytes for one in held) + needed
        while self._randomised and taken > self._models_limit:
            taken -= self._randomised.popitem(last=False)[1].bytes

    def _background(self, name: str, classifier: Classifier) -> torch.Tensor:
        found = galleries.background(name)
        key = (classifier.card.name, digest_of(*(picture.digest for picture in found)))
        if key not in self._pictures:
            self._pictures[key] = _normalised(found, classifier)
        return self._pictures[key]

    def background(self, name: str, classifier: Classifier) -> torch.Tensor:
        """The pictures of a background set for any classifier, made anew; float32 (N, 3, H, W) on its device."""
        return _normalised(galleries.background(name), classifier)

    def _predict(self, request: Predict, key: str, watch: Watch) -> Prediction:
        started = time.monotonic()
        run = self._run(request.input, 0, 0, request.cost, watch)
        probabilities = next(logits.softmax(1) for _, logits in run.logits(1, lambda start, stop: run.x))[0]
        corrupted = chain.apply(request.input.frame, request.input.corruptions, request.input.seed)
        return Prediction(
            probabilities=frozen(probabilities.float().cpu().numpy()),
            frame=frozen(corrupted.pixels),
            occluded=None if corrupted.occluded is None else frozen(corrupted.occluded),
            key=key,
            passes=run.passes,
            seconds=time.monotonic() - started,
            profile=self._profile_of(run),
        )

    def _explain(self, request: Explain, key: str, watch: Watch) -> SaliencyMap:
        started = time.monotonic()
        against = self._checked_contrast(request)
        target = self._checked_target(request.input, request.target)
        run = self._run(request.input, target, request.seed, request.cost, watch, against=against)
        classifier = self.classifier_for(request.input)
        with contextlib.nullcontext() if against is None else classifier.contrasted(target, against):
            attribution = cast(Explainer, request.parameters).explain(run)
        values = frozen(np.asarray(attribution.values, dtype=np.float32))
        if values.shape != run.frame.shape[:2]:
            raise ValueError(f"{request.method} made a map of {values.shape}, not {run.frame.shape[:2]}")
        errors = attribution.errors
        return SaliencyMap(
            values=values,
            errors=None if errors is None else frozen(np.asarray(errors, dtype=np.float32)),
            signed=attribution.signed,
            method=request.method,
            parameters=request.parameters.model_dump(mode="json"),
            target=request.target,
            seed=request.seed,
            layer=attribution.layer,
            corruptions=tuple(step.text for step in request.input.corruptions),
            notes=(*attribution.notes, *_warnings(values)),
            completeness=attribution.completeness,
            against=against,
            details={name: frozen(np.asarray(values)) for name, values in attribution.details.items()},
            layer_size=run.sizes.get(attribution.layer or ""),
            key=key,
            passes=run.passes,
            seconds=time.monotonic() - started,
            profile=self._profile_of(run),
        )

    def _imagine(self, request: Imagine, key: str, watch: Watch) -> Imagined:
        started = time.monotonic()
        target = self._checked_target(request.input, request.target or 0)
        run = self._run(request.input, target, request.seed, request.cost, watch)
        drawing = cast(Drawer, request.parameters).draw(run)
        return Imagined(
            pixels=frozen(drawing.pixels),
            objective=Curve(frozen(drawing.objective.x), frozen(drawing.objective.y)),
            reached=drawing.reached,
            probability=drawing.probability,
            drawer=request.drawer,
            parameters=request.parameters.model_dump(mode="json"),
            target=request.target,
            seed=request.seed,
            layer=drawing.layer,
            notes=drawing.notes,
            key=key,
            passes=run.passes,
            seconds=time.monotonic() - started,
            profile=self._profile_of(run),
        )

    def _probe(self, request: Probe, key: str, watch: Watch) -> Probed:
        started = time.monotonic()
        target = self._checked_target(request.input, request.target)
        run = self._run(request.input, target, request.seed, request.cost, watch)
        before, after, elsewhere = probe(run, request)
        return Probed(
            before=before,
            after=after,
            elsewhere=frozen(elsewhere),
            key=key,
            passes=run.passes,
            seconds=time.monotonic() - started,
            profile=self._profile_of(run),
        )

    def _survey(self, request: Survey, key: str) -> Blocks:
        started = time.monotonic()
        blocks = self.classifier_for(request.input).blocks
        return Blocks(blocks, key, Cost(), time.monotonic() - started, self.profile)

    def _trial(self, request: Trial, key: str, watch: Watch) -> Score:
        started = time.monotonic()
        lab = EngineLab(self, request, watch)
        measured = cast(TrialMethod, request.parameters).run(lab)
        return Score(
            name=request.trial,
            values={part: float(value) for part, value in measured.values.items()},
            reasons=dict(measured.reasons),
            curves={name: Curve(frozen(curve.x), frozen(curve.y)) for name, curve in measured.curves.items()},
            parameters=request.parameters.model_dump(mode="json"),
            key=key,
            passes=lab.passes,
            seconds=time.monotonic() - started,
            profile={**self._machine, "batch": self._batch or self.batches.default},
            details={name: frozen(np.asarray(values)) for name, values in measured.details.items()},
        )

    def _checked_target(self, given: Input, target: int) -> int:
        classes = len(self.classifier(given.model).card.labels)
        if not 0 <= target < classes:
            raise XaiError(f"There is no class {target}; the classes of {given.model} are 0 to {classes - 1}.")
        return target

    def _checked_contrast(self, request: Explain) -> int | None:
        if request.against is None:
            return None
        if not METHODS[request.method].contrasts:
            raise XaiError(f"{request.title} cannot explain one class against another; gradients and CAMs can.")
        if request.against == request.target:
            raise XaiError("A class cannot be explained against itself; choose another one.")
        return self._checked_target(request.input, request.against)

    def _evaluate(self, request: Evaluate, key: str, watch: Watch) -> Score:
        spec = SCORES[request.score]
        subject = request.subject
        before = 0  # passes that the map took, if it was not there

        def map_progress(done: int, total: int) -> None:
            nonlocal before
            before = done
            watch.progress(done, total + request.cost.total)

        saliency = self._map_of(subject, Watch(progress=map_progress, cancelled=watch.cancelled))
        started = time.monotonic()
        own = Watch(lambda done, total: watch.progress(before + done, before + total), None, watch.cancelled)
        target = self._checked_target(subject.input, subject.target)
        another = self._other_maps(subject) if isinstance(subject, Explain) else None
        reference = self._reference_maps(subject)
        run = self._run(
            subject.input, target, subject.seed, request.cost, own, another_map=another, reference_map=reference
        )
        reason = unusable(saliency)
        try:
            if reason is not None:
                raise Undefined(reason)
            measured = cast(ScoreMethod, request.parameters).measure(run, saliency, request.mask)
        except Undefined as undefinable:
            measured = undefined(spec.values, str(undefinable))
        return Score(
            name=request.score,
            values={part: float(measured.values[part]) for part in spec.values},
            reasons=dict(measured.reasons),
            curves={name: Curve(frozen(curve.x), frozen(curve.y)) for name, curve in measured.curves.items()},
            parameters=request.parameters.model_dump(mode="json"),
            key=key,
            passes=run.passes,
            seconds=time.monotonic() - started,
            profile=self._profile_of(run),
        )

    def _other_maps(self, subject: Explain) -> Callable[[Another, Watch], Floats]:
        """Makes further maps by the same method, which are cached as any others."""

        def another(change: Another, watch: Watch) -> Floats:
            request = subject.another(change)
            if change.target == "top":
                seen = cast(Prediction, self.compute(Predict(request.input), watch))
                request = replace(request, target=seen.top)
            return self._map_of(request, watch)

        return another

    def _reference_maps(self, subject: Explain | GivenMap) -> Callable[[str, Mapping[str, Any], Watch], Floats]:
        """Makes the map of the same class by another method, which is cached as any other."""

        def made(method: str, values: Mapping[str, Any], watch: Watch) -> Floats:
            parameters = METHODS[method].make(values)
            return self._map_of(Explain(subject.input, method, parameters, subject.target, subject.seed), watch)

        return made

    def _map_of(self, subject: Explain | GivenMap, watch: Watch) -> Floats:
        if isinstance(subject, GivenMap):
            shape = subject.input.frame.shape[:2]
            if subject.values.shape != shape:
                raise XaiError(f"The map has {subject.values.shape} pixels; {subject.input.model} needs {shape}.")
            return subject.values
        result = self.compute(subject, watch)
        assert isinstance(result, SaliencyMap)
        return result.values

    def warm(self, models: list[str]) -> None:
        """Loads models and the slow imports, so that a user's first click does not wait for them."""
        for module in ("skimage.segmentation", "scipy.ndimage"):
            importlib.import_module(module)
        threading.Thread(target=compile_solver, name="solver", daemon=True).start()
        for name in models:
            try:
                classifier = self.classifier(name)
                size = classifier.card.preprocess.crop
                x = torch.zeros(self.batch_for(classifier), 3, size, size, device=self.device)
                classifier.logits(x)
                classifier.gradients(x, 0)
            except XaiError as error:
                log.warning("%s cannot be warmed up: %s", name, error)


def _normalised(pictures: Sequence[Picture], classifier: Classifier) -> torch.Tensor:
    frames = [picture_frame(picture.pixels, classifier.card.preprocess) for picture in pictures]
    return classifier.normalise(torch.as_tensor(np.stack(frames)) / 255)


def _warnings(values: Floats) -> tuple[str, ...]:
    """Sentences about a map that must not be looked at without a word."""
    if not np.isfinite(values).all():
        return ("This map holds values that are not numbers.",)
    if not values.any():
        return ("This map is zero everywhere: the method found nothing for this class.",)
    if is_flat(values):
        return ("This map is flat: every pixel has the same value.",)
    return ()
