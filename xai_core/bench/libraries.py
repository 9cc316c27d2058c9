"""What a user of the libraries would write: the same maps and scores by composing them, on the plain network.

They run in a process of their own: the engine's settings of this one (memory that is kept, memory formats) would serve
them too.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from .. import settings
from ..classifiers.loading import load_network
from ..engine.executor import choose_device
from ..registry import MODELS
from ..types import Bools, Floats, Pixels, XaiError

PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


@dataclass(frozen=True)
class Task:
    """One picture to explain: `frame` uint8 (H, W, 3), `background` uint8 (20, H, W, 3), `samples` by method."""

    model: str
    frame: Pixels
    background: Pixels
    target: int
    samples: Mapping[str, int]


class Apart:
    """The libraries in their process; `seconds` has one of the functions of `Libraries` run there and timed."""

    def __init__(self, link: Connection):
        self._link = link

    def seconds(self, function: str, *arguments: Any) -> float:
        self._link.send((function, arguments))
        try:
            found = self._link.recv()
        except EOFError:
            raise XaiError("The libraries' process has ended; perhaps there is not enough memory.") from None
        if isinstance(found, Exception):
            raise found
        return float(found)


@contextlib.contextmanager
def apart(task: Task) -> Iterator[Apart]:
    """The libraries with this task in a process that ends with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, task), daemon=True)
    process.start()
    there.close()
    try:
        yield Apart(here)
    finally:
        here.close()
        process.join(10)
        process.kill()


def _serve(link: Connection, task: Task) -> None:
    warnings.simplefilter("ignore")  # the libraries' own
    torch.set_num_threads(settings.current().cpu_threads)
    libraries = Libraries(task)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            function, arguments = link.recv()
            try:
                wait_for_device()
                started = time.perf_counter()
                getattr(libraries, function)(*arguments)
                wait_for_device()
                link.send(time.perf_counter() - started)
            except Exception as error:
                link.send(error)


def wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Libraries:
    """One classifier and one picture as the libraries want them: the network as torchvision or timm builds it."""

    def __init__(self, task: Task):
        card = MODELS[task.model]
        self.device = choose_device()
        self.network = load_network(card).to(self.device).requires_grad_()
        self.layer = self.network.get_submodule(card.cam_layer)
        self.frame, self.target, self.samples = np.array(task.frame), task.target, task.samples
        self._mean, self._std = (torch.tensor(one).view(3, 1, 1) for one in (card.preprocess.mean, card.preprocess.std))
        self.x = self.normalise(self.frame[None])
        self.background = self.normalise(np.array(task.background))

    def normalise(self, pixels: Pixels) -> torch.Tensor:
        """Pictures (N, H, W, 3) as inputs (N, 3, H, W), as torchvision's ToTensor and Normalize make them."""
        scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
        return ((scaled - self._mean) / self._std).to(self.device)

    def gradcam(self) -> Any:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with GradCAM(self.network, [self.layer]) as cam:
            return cam(self.x.clone(), [ClassifierOutputTarget(self.target)])

    def shap(self) -> Any:
        import shap

        state = np.random.get_state()  # noqa: NPY002  (shap seeds the global generator)
        try:
            explainer = shap.GradientExplainer(self.network, self.background.clone())
            return explainer.shap_values(self.x.clone(), nsamples=self.samples["shap"], ranked_outputs=1, rseed=0)
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def lime(self) -> Any:
        from lime.lime_image import LimeImageExplainer

        def classify(pictures: Any) -> Any:
            with torch.inference_mode():
                return self.network(self.normalise(pictures)).softmax(1).cpu().numpy()

        with contextlib.redirect_stderr(io.StringIO()):
            return LimeImageExplainer(random_state=0).explain_instance(
                self.frame, classify, top_labels=1, num_samples=self.samples["lime"], batch_size=32
            )

    def smoothgrad(self) -> Any:
        from captum.attr import NoiseTunnel, Saliency

        width = 0.15 * float(self.x.max() - self.x.min())
        return NoiseTunnel(Saliency(self.network)).attribute(
            self.x.clone(),
            nt_type="smoothgrad",
            nt_samples=self.samples["smoothgrad"],
            nt_samples_batch_size=10,
            stdevs=width,
            target=self.target,
            abs=False,
        )

    def occlusion(self, maps: list[Floats]) -> Any:
        """For every map the change of confidence with background and with subject hidden, by grad-cam's metrics."""
        from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        targets: Any = [ClassifierOutputSoftmaxTarget(self.target)]
        tops = [(one >= np.quantile(one, 0.8)).astype(np.float32)[None] for one in maps]
        return [
            metric()(self.x, shown, targets, self.network)
            for top in tops
            for metric in (DropInConfidence, IncreaseInConfidence)
            for shown in (top, 1 - top)
        ]

    def road(self, maps: list[Floats]) -> Any:
        from pytorch_grad_cam.metrics.road import ROADCombined
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        targets: Any = [ClassifierOutputSoftmaxTarget(self.target)]
        return [ROADCombined(percentiles=PERCENTILES)(self.x, one[None], targets, self.network) for one in maps]

    def insertion_deletion(self, maps: list[Floats]) -> Any:
        """The areas under both curves of every map, from and to the mean colour, by torchcam."""
        from torchcam.metrics import DeletionInsertionMetric

        found = []
        for one in maps:
            metric = DeletionInsertionMetric(
                GivenCam(self.network, one), lambda logits: logits.softmax(1), steps=224, batch_size=32
            )
            metric.update(self.x, self.target)
            found.append(metric.summary())
        return found

    def mutual_information(self, maps: list[Floats]) -> Any:
        """Between the grey picture and every map, by scikit-learn's estimate from nearest neighbours."""
        from sklearn.feature_selection import mutual_info_regression

        grey = self.frame.mean(axis=2).ravel()[:, None]
        return [float(mutual_info_regression(grey, one.ravel(), random_state=0)[0]) for one in maps]

    def imputation(self, masks: list[Bools]) -> Any:
        """The library's imputation of these masks of missing pixels, bool (H, W)."""
        from pytorch_grad_cam.metrics.road import NoisyLinearImputer

        imputer = NoisyLinearImputer(noise=0)
        picture = torch.as_tensor(self.frame).movedim(-1, 0).float() / 255
        return [imputer(picture, torch.as_tensor(~mask).float()) for mask in masks]


class GivenCam:
    """What torchcam takes for an explainer of `network`, with a map float32 (H, W) that is there already."""

    def __init__(self, network: torch.nn.Module, saliency: Floats):
        self.model = network
        self.saliency = torch.from_numpy(np.array(saliency))[None]

    def __call__(self, *_: Any, **__: Any) -> list[torch.Tensor]:
        return [self.saliency]

    def fuse_cams(self, cams: list[torch.Tensor]) -> torch.Tensor:
        return cams[0]

    def _hooks_off(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()
