"""Gradients that go back through every ReLU by another rule."""

from __future__ import annotations

from typing import Any, ClassVar

from ..registry import METHODS
from ..types import Attribution, Cost, Run
from .base import CheckedExplainer, array
from .gradient import SIGNED, Reduction, reduced, reduction_parameter


def rectified_gradient(run: Run, guided: bool) -> tuple[Any, int]:
    """The gradient (3, H, W) of the target's logit, its negative part dropped at every ReLU; and how many ReLUs.

    With `guided` the ReLU's own gradient is what is rectified; without, all that comes from above (deconvnet).
    """
    import torch

    def rectify(module: Any, below: tuple[Any, ...], above: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple((below if guided else above)[0].clamp_min(0) for _ in below)

    with run.network() as network:
        found = [one for one in network.modules() if isinstance(one, torch.nn.ReLU | torch.nn.ReLU6)]
        for one in found:
            one.register_full_backward_hook(rectify)
        x = run.x.detach().clone().requires_grad_()
        gradient = torch.autograd.grad(network(x)[0, run.target], x)[0][0]
    return gradient, len(found)


class Rectified(CheckedExplainer):
    """Base of the methods that change the way back through a ReLU."""

    guided: ClassVar[bool]
    captum: ClassVar[str]

    reduction: Reduction = reduction_parameter("abs_max")

    def cost(self) -> Cost:
        return Cost(1, 1)

    def explain_ourselves(self, run: Run) -> Attribution:
        gradient, relus = rectified_gradient(run, self.guided)
        notes = () if relus else ("This network has no ReLU: the map is that of the plain gradient.",)
        return Attribution(array(reduced(gradient, self.reduction)), self.reduction in SIGNED, notes=notes)

    def explain_by_library(self, run: Run) -> Attribution:
        import captum.attr

        with run.network() as network:
            method = getattr(captum.attr, self.captum)(network)
            gradient = method.attribute(run.x.clone(), target=run.target)[0]
        notes = ("captum passes ReLU6 by.",)
        return Attribution(array(reduced(gradient, self.reduction)), self.reduction in SIGNED, notes=notes)


@METHODS.register(
    "guided_backprop",
    title="Guided backprop",
    summary="The gradient, of which every ReLU lets only the positive part through on the way back. Sharp and pretty, "
    "but much of it is the picture's edges: it hardly changes with the class or with the upper layers' weights.",
    family="gradient",
    cites=(
        "Springenberg et al. 2015, Striving for simplicity: the all convolutional net",
        "Adebayo et al. 2018, Sanity checks for saliency maps",
    ),
    reference="captum",
)
class GuidedBackprop(Rectified):
    """At a ReLU: g 1[x > 0] 1[g > 0]; spec M-15."""

    guided: ClassVar[bool] = True
    captum: ClassVar[str] = "GuidedBackprop"


@METHODS.register(
    "deconvnet",
    title="Deconvnet",
    summary="Sends the class back through the network and lets every ReLU pass only what is positive, whatever it saw "
    "on the way forward. Much of it is the picture's edges: it hardly changes with the class.",
    family="gradient",
    cites=("Zeiler and Fergus 2014, Visualizing and understanding convolutional networks",),
    reference="captum",
)
class Deconvnet(Rectified):
    """At a ReLU: g 1[g > 0]; spec M-16."""

    guided: ClassVar[bool] = False
    captum: ClassVar[str] = "Deconvolution"
