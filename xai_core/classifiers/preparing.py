"""One place that makes a network explainable, and one that makes it fast.

Hook-based methods need every ReLU to be a module of its own that changes nothing in place, and every residual
addition to be a module. `prepare` rewrites the forward of just those modules that break this, one module at a time
with its children as leaves, so that the network keeps its tree of names: `layer4.2` stays a layer to hook.
"""

from __future__ import annotations

import copy
import inspect
import operator
from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Add(nn.Module):
    """The sum of two tensors, as a module that can be hooked."""

    inplace = was_inplace = False

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left.add_(right) if self.inplace else left + right


def prepare(network: nn.Module) -> nn.Module:
    """A copy whose ReLUs are out of place and used once each, and whose additions are modules; same logits, bit by bit.

    The weights are shared with the original. Modules whose forward cannot be traced stay as they are.
    """
    network = _copy_sharing_weights(network)
    for module in network.modules():
        if hasattr(module, "inplace"):
            written = bool(module.inplace) or bool(getattr(module, "was_inplace", False))
            module.was_inplace, module.inplace = written, False  # type: ignore[assignment]
    _part_shared_relus(network)
    return _rewritten(network)


def in_place(prepared: nn.Module) -> nn.Module:
    """A copy of a prepared network that overwrites tensors where its author did and where a sum follows a batch norm.

    Logits and gradients are the same, bit by bit. It saves memory traffic, and is for passes that hook no layer.
    """
    network = _copy_sharing_weights(prepared)
    for module in network.modules():
        if getattr(module, "was_inplace", False):
            module.inplace = True  # type: ignore[assignment]
    return network


def _part_shared_relus(network: nn.Module) -> None:
    """Gives every place in the tree a ReLU object of its own."""
    seen: set[nn.Module] = set()
    for module in network.modules():
        for name, child in module._modules.items():
            if isinstance(child, nn.ReLU | nn.ReLU6):
                if child in seen:
                    module._modules[name] = copy.deepcopy(child)
                seen.add(child)


def fold_batch_norm(network: nn.Module) -> tuple[nn.Module, frozenset[str]]:
    """A copy with every batch norm that directly follows its convolution folded into it; logits within 1e-4.

    Layers keep their names; a folded batch norm becomes an identity, or its activation where it has one. The names
    that are returned are the convolutions whose output is another one now.
    """
    network = _copy_sharing_weights(network)
    changed: set[str] = set()
    for path, module in list(network.named_modules()):
        if next(module.children(), None) is None:
            continue
        graph = _trace(module)
        if graph is not None:
            changed.update(f"{path}.{name}".lstrip(".") for name in _fold_in(module, graph))
    return network, frozenset(changed)


def _copy_sharing_weights(network: nn.Module) -> nn.Module:
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, memo)
    for module in network.modules():
        _set_children(memo[id(module)], {name: memo.get(id(child)) for name, child in module._modules.items()})
    return copied


def _set_children(module: nn.Module, children: dict[str, nn.Module | None]) -> None:
    """Gives a module exactly these children: a GraphModule drops those that its forward does not call."""
    module._modules.clear()
    module._modules.update(children)


class _OneLevel(fx.Tracer):
    """Traces one module's own forward; whatever it calls is a leaf."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _trace(module: nn.Module) -> fx.Graph | None:
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        return None  # these have no forward
    try:
        if any(one.default is None for one in inspect.signature(module.forward).parameters.values()):
            return None  # a trace would hold one side only of `if shortcut is None`
        return _OneLevel().trace(module)
    except Exception:  # tracing foreign code fails in every way there is; such a module is left alone
        return None


_RELU_CALLS = {torch.relu, torch.relu_, nn.functional.relu, nn.functional.relu_}
_RELU_METHODS = {"relu", "relu_"}
_ADD_CALLS = {operator.add, operator.iadd, torch.add}
_ADD_METHODS = {"add", "add_", "__add__", "__iadd__"}
_IN_PLACE = {torch.relu_, nn.functional.relu_, "relu_"}


def _rewritten(module: nn.Module) -> nn.Module:
    for name, child in list(module.named_children()):
        replaced = _rewritten(child)
        if replaced is not child:
            setattr(module, name, replaced)
    if next(module.children(), None) is None:
        return module
    graph = _trace(module)
    if graph is None:
        return module
    additions: dict[str, nn.Module] = {}
    uses = Counter(node.target for node in graph.nodes if node.op == "call_module")
    seen: Counter[Any] = Counter()
    for node in list(graph.nodes):
        if _is_relu_call(node):
            relu = nn.ReLU()
            relu.was_inplace = node.target in _IN_PLACE or bool(node.kwargs.get("inplace"))  # type: ignore[assignment]
            _replace(graph, node, _operands(node)[:1], _free_name(module, additions, "relu"), relu, additions)
        elif _is_add(node):
            add = Add()
            add.was_inplace = _is_free(module, additions, _operands(node)[0])
            _replace(graph, node, _operands(node), _free_name(module, additions, "add"), add, additions)
        elif node.op == "call_module" and uses[node.target] > 1:
            called = module.get_submodule(node.target)
            seen[node.target] += 1
            if seen[node.target] > 1 and isinstance(called, nn.ReLU | nn.ReLU6) and not list(called.parameters()):
                name = _free_name(module, additions, node.target.replace(".", "_"))
                _replace(graph, node, node.args, name, copy.deepcopy(called), additions)
    if not additions:
        return module
    for name, added in additions.items():
        module.add_module(name, added)
    rewritten = fx.GraphModule(module, graph, class_name=type(module).__name__)
    _set_children(rewritten, module._modules)
    return rewritten.eval()


def _is_relu_call(node: fx.Node) -> bool:
    if node.op == "call_function":
        return node.target in _RELU_CALLS
    return node.op == "call_method" and node.target in _RELU_METHODS


def _is_add(node: fx.Node) -> bool:
    adds = (node.op == "call_function" and node.target in _ADD_CALLS) or (
        node.op == "call_method" and node.target in _ADD_METHODS
    )
    operands = _operands(node)
    plain = len(operands) == 2 and len(node.args) + len(node.kwargs) == 2
    return adds and plain and all(isinstance(one, fx.Node) for one in operands)


def _is_free(module: nn.Module, additions: Mapping[str, nn.Module], node: fx.Node) -> bool:
    """Whether a batch norm makes this tensor for its only user, who may then overwrite it.

    A trace does not tell `a += b` from `a + b`. A batch norm's gradient needs its input, not its output.
    """
    if node.op != "call_module" or len(node.users) > 1 or node.target in additions:
        return False
    made = module.get_submodule(str(node.target))
    return isinstance(made, nn.BatchNorm2d) and isinstance(getattr(made, "act", None), nn.Identity | None)


def _operands(node: fx.Node) -> list[Any]:
    """What a call works on, given by place or by name."""
    return [*node.args, *(node.kwargs[name] for name in ("input", "other") if name in node.kwargs)]


def _free_name(module: nn.Module, additions: dict[str, nn.Module], wanted: str) -> str:
    name, number = wanted, 1
    while hasattr(module, name) or name in additions:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _replace(
    graph: fx.Graph, node: fx.Node, arguments: Any, name: str, new: nn.Module, additions: dict[str, nn.Module]
) -> None:
    additions[name] = new
    with graph.inserting_before(node):
        call = graph.create_node("call_module", name, tuple(arguments))
    node.replace_all_uses_with(call)
    graph.erase_node(node)


def _fold_in(module: nn.Module, graph: fx.Graph) -> list[str]:
    changed = []
    uses = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        if node.op != "call_module" or uses[node.target] > 1:
            continue
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        norm, convolution = module.get_submodule(node.target), module.get_submodule(str(before.target))
        if not isinstance(convolution, nn.Conv2d) or uses[before.target] > 1 or not isinstance(norm, nn.BatchNorm2d):
            continue
        if norm.running_mean is None:  # it takes the statistics of each batch
            continue
        module.set_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm))
        # timm's batch norms bring their activation along
        rest = OrderedDict(
            (part, getattr(norm, part)) for part in ("drop", "act") if getattr(norm, part, None) is not None
        )
        module.set_submodule(str(node.target), nn.Sequential(rest) if rest else nn.Identity())
        changed.append(str(before.target))
    return changed
