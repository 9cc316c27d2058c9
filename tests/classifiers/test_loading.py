"""From cards to networks: file formats, keys, overrides, hostile files, and the real architectures' loading path."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import write_tiny_card
from tests.networks import tiny
from xai_core.classifiers.cards import Card, cards, read_card
from xai_core.classifiers.evaluator import Classifier
from xai_core.classifiers.loading import load_network
from xai_core.images.decoding import open_picture
from xai_core.images.geometry import picture_frame
from xai_core.types import XaiError

from .networks import quickly_built, randomised

State = dict[str, torch.Tensor]


def tiny_state(seed: int = 0) -> State:
    """Random weights and batch-norm statistics of `tests.networks.tiny`."""
    return OrderedDict(randomised(tiny(), seed).state_dict())


def make_card(folder: Path, file: str = "net.pth", **changes: Any) -> Card:
    """A card of `tests.networks.tiny` whose weights are expected in `file`."""
    return read_card(write_tiny_card(folder, **{"weights": {"file": file}, **changes}))


def saved(folder: Path, content: Any, file: str = "net.pth", **changes: Any) -> Card:
    """A card whose weights file holds what `torch.save` writes of `content`."""
    card = make_card(folder, file, **changes)
    torch.save(content, folder / file)
    return card


def assert_same_state(network: nn.Module, expected: State) -> None:
    found = network.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def sentence(card: Card) -> str:
    """What loading says when it fails: one line without control characters that ends in a full stop."""
    with pytest.raises(XaiError) as caught:
        load_network(card)
    said = str(caught.value)
    assert said.isprintable(), said
    assert re.match(r"[A-Z].*", said), said
    return said


# File formats


def test_safetensors_are_loaded(tiny_card: Path) -> None:
    expected = load_file(tiny_card.with_suffix(".safetensors"))
    network = load_network(cards()["tiny"])
    assert {key: value.tolist() for key, value in network.state_dict().items()} == {
        key: value.tolist() for key, value in expected.items()
    }


def test_a_state_dict_of_torch_is_loaded(tmp_path: Path) -> None:
    state = tiny_state()
    assert_same_state(load_network(saved(tmp_path, state)), state)


def test_a_state_dict_in_torchs_old_format_is_loaded(tmp_path: Path) -> None:
    state = tiny_state()
    card = make_card(tmp_path)
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(tmp_path / "net.pth")
    assert_same_state(load_network(card), state)


def test_a_state_dict_may_lie_in_a_checkpoint(tmp_path: Path) -> None:
    state = tiny_state()
    assert_same_state(load_network(saved(tmp_path, {"epoch": 3, "state_dict": state})), state)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("file", ["net.pth", "net.safetensors"])
def test_other_floats_become_float32(tmp_path: Path, kind: torch.dtype, file: str) -> None:
    state = {key: value.to(kind) if value.is_floating_point() else value for key, value in tiny_state().items()}
    card = make_card(tmp_path, file)
    (save_file if file.endswith(".safetensors") else torch.save)(state, tmp_path / file)
    network = load_network(card)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert network.state_dict()["stage1.bn1.num_batches_tracked"].dtype == torch.int64
    assert_same_state(network, {k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def test_a_loaded_network_computes_what_the_saved_one_did_and_is_frozen(tmp_path: Path) -> None:
    original = randomised(tiny())
    network = load_network(saved(tmp_path, original.state_dict()))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(x), original(x))
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {tensor.device.type for tensor in (*network.parameters(), *network.buffers())} == {"cpu"}


# Hostile and damaged files


def code_that_creates(marker: Path) -> bytes:
    """A pickle that creates a file when it is loaded."""
    return f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()


def as_archive(code: bytes) -> bytes:
    """A file of `torch.save` whose pickle is replaced by `code`."""
    honest, hostile = io.BytesIO(), io.BytesIO()
    torch.save({"stem.weight": torch.zeros(1)}, honest)
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(hostile, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, code if entry.filename.endswith("data.pkl") else source.read(entry))
    return hostile.getvalue()


def hidden_in_a_state_dict(code: bytes) -> bytes:
    """A pickled dictionary with the code as the value of a key."""
    return b"(S'stem.weight'\n" + code.removesuffix(b".") + b"d."


def test_the_hostile_pickle_does_what_it_is_meant_to(tmp_path: Path) -> None:
    for pack in (lambda code: code, hidden_in_a_state_dict):
        pickle.loads(pack(code_that_creates(tmp_path / "marker")))
        (tmp_path / "marker").unlink()
    (tmp_path / "net.pth").write_bytes(as_archive(code_that_creates(tmp_path / "marker")))
    torch.load(tmp_path / "net.pth", weights_only=False)
    assert (tmp_path / "marker").exists()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "bare": lambda code: code,
    "in a dictionary": hidden_in_a_state_dict,
    "in an archive": as_archive,
    "in an archive, in a dictionary": lambda code: as_archive(hidden_in_a_state_dict(code)),
}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
@pytest.mark.parametrize("file", ["net.pth", "net.pt", "net.bin", "net.safetensors", "net"])
def test_a_pickle_with_code_is_refused_with_a_sentence_and_never_runs(
    tmp_path: Path, file: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker = tmp_path / "marker"
    card = make_card(tmp_path, file)
    (tmp_path / file).write_bytes(pack(code_that_creates(marker)))
    said = sentence(card)
    assert not marker.exists()
    assert said.startswith(f"The weights file {tmp_path / file} of Tiny cannot be read (")
    assert "weights_only" not in said and "trust" not in said
    assert said.count(". ") == 0


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    card = make_card(tmp_path)
    torch.save(tiny(), tmp_path / "net.pth")
    assert "cannot be read" in sentence(card)


@pytest.mark.parametrize("file", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"<html>404</html>", b"\xff" * 100], ids=["empty", "zeros", "html", "ones"]
)
def test_what_is_no_weights_file_is_refused_with_a_sentence(tmp_path: Path, file: str, content: bytes) -> None:
    card = make_card(tmp_path, file)
    (tmp_path / file).write_bytes(content)
    assert sentence(card).endswith("; get it again.")


@pytest.mark.parametrize("file", ["net.pth", "net.safetensors"])
def test_half_a_file_is_refused_with_a_sentence(tmp_path: Path, file: str) -> None:
    card = make_card(tmp_path, file)
    (save_file if file.endswith(".safetensors") else torch.save)(tiny_state(), tmp_path / file)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    assert "cannot be read" in sentence(card)


NO_STATES: dict[str, Any] = {
    "a list": [torch.zeros(1)],
    "a number": 3,
    "a tensor": torch.zeros(1),
    "numbers": {"stem.weight": 1},
    "numbered tensors": {0: torch.zeros(1)},
    "a checkpoint without weights": {"state_dict": {"epoch": 1}},
    "a checkpoint of another kind": {"model": {"stem.weight": torch.zeros(1)}},
}


@pytest.mark.parametrize("content", NO_STATES.values(), ids=NO_STATES)
def test_what_is_no_state_dict_is_refused_with_a_sentence(tmp_path: Path, content: Any) -> None:
    assert "holds no state dict; give the card another file." in sentence(saved(tmp_path, content))


def test_a_file_that_is_not_here_is_a_sentence(tmp_path: Path) -> None:
    assert "of Tiny is missing; put it there." in sentence(make_card(tmp_path))


def test_a_wrong_hash_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    card = saved(tmp_path, tiny_state(), weights={"file": "net.pth", "sha256": "0" * 64})
    assert "its SHA-256 differs" in sentence(card)


def test_a_checkpoint_that_is_not_downloaded_is_a_sentence() -> None:
    assert "fetch it with python -m xai_core weights fetch vgg16" in sentence(cards()["vgg16"])


# Weights that do not fit


def without(state: State, key: str) -> State:
    return {name: value for name, value in state.items() if name != key}


MISFITS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (lambda state: without(state, "stem.weight"), "stem.weight"),
    "surplus": (lambda state: {**state, "tail.weight": torch.zeros(1)}, "tail.weight"),
    "renamed": (lambda state: {f"module.{key}": value for key, value in state.items()}, "stem.weight"),
    "wrong shape": (lambda state: {**state, "head.weight": torch.zeros(7, 12)}, "head.weight"),
    "integers": (lambda state: {**state, "head.weight": torch.zeros(5, 12, dtype=torch.int64)}, "head"),
    "empty": (lambda state: {}, "stem.weight"),
}


@pytest.mark.parametrize(("change", "named"), MISFITS.values(), ids=MISFITS)
def test_weights_that_do_not_fit_are_refused_with_a_sentence_that_names_them(
    tmp_path: Path, change: Callable[[State], State], named: str
) -> None:
    said = sentence(saved(tmp_path, change(tiny_state())))
    assert said.startswith("The weights of Tiny do not fit tests.networks:tiny: ")
    assert named in said
    assert len(said) < 500


# Keys in order


def in_order(folder: Path, state: State) -> Card:
    return saved(folder, OrderedDict(state), weights={"file": "net.pth", "keys": "in_order"})


def test_keys_in_order_are_renamed_one_after_the_other(tmp_path: Path) -> None:
    state = tiny_state()
    foreign = {f"layer_{number}.{key.rpartition('.')[2]}": value for number, (key, value) in enumerate(state.items())}
    assert_same_state(load_network(in_order(tmp_path, foreign)), state)


def swapped(state: State, first: str, second: str) -> State:
    """The state with two keys in each other's place."""
    order = list(state)
    one, two = order.index(first), order.index(second)
    order[one], order[two] = order[two], order[one]
    return {key: state[key] for key in order}


DISORDERED: dict[str, Callable[[State], State]] = {
    "one too few": lambda state: without(state, "head.bias"),
    "one too many": lambda state: {**state, "tail.bias": torch.zeros(1)},
    "another shape": lambda state: {**state, "head.weight": torch.zeros(12, 5)},
    "weight and bias swapped": lambda state: swapped(state, "stage1.bn1.weight", "stage1.bn1.bias"),
    "mean and variance swapped": lambda state: swapped(state, "stage1.bn1.running_mean", "stage1.bn1.running_var"),
}


@pytest.mark.parametrize("change", DISORDERED.values(), ids=DISORDERED)
def test_keys_in_another_order_are_refused_with_a_sentence(tmp_path: Path, change: Callable[[State], State]) -> None:
    card = in_order(tmp_path, change(tiny_state()))
    assert sentence(card) == "The weights of Tiny do not fit tests.networks:tiny in their order."


# Overrides


def test_overrides_are_set_and_a_tuple_stays_a_tuple(tmp_path: Path) -> None:
    overrides = {"stem.stride": [1, 1], "stage1.bn1.eps": 0.01, "stage2.relu.inplace": False}
    network = load_network(saved(tmp_path, tiny_state(), overrides=overrides))
    assert network.get_submodule("stem").stride == (1, 1)
    assert network.get_submodule("stage1.bn1").eps == 0.01
    assert network.get_submodule("stage1.bn2").eps == 1e-5
    assert network.get_submodule("stage2.relu").inplace is False
    assert network.get_submodule("stem")(torch.zeros(1, 3, 8, 8)).shape == (1, 8, 8, 8)


@pytest.mark.parametrize(
    "dotted", ["nowhere.stride", "stem.strides", "stride", "stem.stride.0", "stem.weight", "stage1", "", "stem."]
)
def test_an_override_that_names_nothing_or_no_setting_is_a_sentence(tmp_path: Path, dotted: str) -> None:
    said = sentence(saved(tmp_path, tiny_state(), overrides={dotted: [1, 1]}))
    assert said.startswith(f"The override {dotted!r} of Tiny ")
    assert said.endswith(".")


# Architectures

UNKNOWN = [
    "torchvision/vgg17",
    "torchvision/fcn_resnet5000",
    "timm/no_such_network",
    "no_such_module:net",
    "tests.no_such_module:net",
    "tests.networks:nothing",
    "tests.networks:Residual",
    "tests.classifiers.networks:unbuildable",
]


@pytest.mark.parametrize("architecture", UNKNOWN)
def test_an_architecture_that_cannot_be_built_is_a_sentence_that_names_it(tmp_path: Path, architecture: str) -> None:
    said = sentence(saved(tmp_path, tiny_state(), architecture=architecture))
    assert said.startswith(f"The architecture {architecture} of Tiny cannot be built (")
    assert said.endswith(").")


@pytest.mark.parametrize("architecture", ["builtins:dict", "tests.networks:tiny.__class__"])
def test_an_architecture_that_builds_no_network_is_a_sentence(tmp_path: Path, architecture: str) -> None:
    with pytest.raises(XaiError, match=rf"{re.escape(architecture)} .*\.$"):
        load_network(saved(tmp_path, tiny_state(), architecture=architecture))


@pytest.mark.parametrize("name", ["WithPosition", "WithConstant", "WithRates"])
def test_a_network_with_tensors_outside_its_state_is_built_for_real(tmp_path: Path, name: str) -> None:
    from tests.classifiers import networks

    original = getattr(networks, name)().eval().requires_grad_(False)
    network = load_network(saved(tmp_path, original.state_dict(), architecture=f"tests.classifiers.networks:{name}"))
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(x), original(x))


@pytest.mark.parametrize("architecture", ["torchvision/regnet_y_400mf", "torchvision/swin_t", "timm/convnext_atto"])
def test_other_networks_of_the_two_libraries_are_built_too(tmp_path: Path, architecture: str) -> None:
    family, _, name = architecture.partition("/")
    if family == "torchvision":
        original = torchvision.models.get_model(name, weights=None)
    else:
        import timm

        original = timm.create_model(name, pretrained=False)
    card = saved(tmp_path, original.state_dict(), architecture=architecture)
    assert_same_state(load_network(card), original.state_dict())


# The built-in cards

FILES = {
    "vgg16": "vgg16-397923af.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "densenet121": "densenet121-a639ec97.pth",
}


def as_first_published(name: str, state: State) -> State:
    """DenseNet's keys as torchvision's file still has them: norm.1 for norm1, and no batch counts."""
    if not name.startswith("densenet"):
        return state
    renamed = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in state.items()}
    return {key: value for key, value in renamed.items() if not key.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Path, nn.Module]]]:
    """Makes torchvision's file of a built-in card with random weights, once; gives its `TORCH_HOME` and its network."""
    made: dict[str, tuple[Path, nn.Module]] = {}

    def checkpoint(name: str) -> tuple[Path, nn.Module]:
        if name not in made:
            home = tmp_path_factory.mktemp(name)
            network = quickly_built(lambda: torchvision.models.get_model(name, weights=None))
            folder = home / "hub" / "checkpoints"
            folder.mkdir(parents=True)
            torch.save(as_first_published(name, network.state_dict()), folder / FILES[name])
            made[name] = home, network
        return made[name]

    yield checkpoint
    for home, _ in made.values():
        shutil.rmtree(home)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121"])
def test_a_torchvision_checkpoint_is_loaded_from_torchs_cache(
    name: str, checkpoints: Callable[[str], tuple[Path, nn.Module]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, original = checkpoints(name)
    monkeypatch.setenv("TORCH_HOME", str(home))
    network = load_network(cards()[name])
    assert type(network) is type(original)
    assert_same_state(network, original.state_dict())
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = original(x)
    assert logits.shape == (1, 1000) and logits.std() > 0
    assert torch.equal(network(x), logits)


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_the_classifier_of_a_checkpoint_keeps_the_networks_logits(
    name: str, checkpoints: Callable[[str], tuple[Path, nn.Module]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, original = checkpoints(name)
    monkeypatch.setenv("TORCH_HOME", str(home))
    classifier = Classifier.load(cards()[name], torch.device("cpu"))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = original(x)
    assert (classifier.logits(x) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_checkpoint_of_another_architecture_is_refused(
    checkpoints: Callable[[str], tuple[Path, nn.Module]], tmp_path: Path
) -> None:
    home, _ = checkpoints("densenet121")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / FILES["resnet50"]).symlink_to(home / "hub" / "checkpoints" / FILES["densenet121"])
    assert "The weights of ResNet-50 do not fit torchvision/resnet50" in sentence(cards()["resnet50"])


def named(classifier: Classifier, path: Path) -> str:
    """The name of the class that the classifier sees in a picture."""
    frame = picture_frame(open_picture(path).pixels, classifier.card.preprocess)
    logits = classifier.logits(classifier.normalise(torch.from_numpy(frame.copy()) / 255).unsqueeze(0))
    return classifier.card.labels[int(logits.argmax())].replace(" ", "_")


@pytest.fixture(scope="module")
def lite() -> Classifier:
    return Classifier.load(cards()["efficientnet_lite0"], torch.device("cpu"))


@pytest.mark.parametrize("name", ["beagle", "tractor"])
def test_efficientnet_lite0_from_its_wheel_names_a_picture(shared: Path, lite: Classifier, name: str) -> None:
    assert named(lite, shared / "data" / "labelled16" / f"{name}.jpg") == name


@pytest.mark.slow
def test_efficientnet_lite0_names_most_of_the_labelled_pictures(shared: Path, lite: Classifier) -> None:
    pictures = sorted((shared / "data" / "labelled16").glob("*.jpg"))
    right = [path.stem for path in pictures if path.stem.startswith(named(lite, path))]
    assert len(pictures) == 16
    assert len(right) >= 12, right


@pytest.fixture
def resnet50_v1(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """A real ResNet-50 that `XAI_MODELS_DIR` adds."""
    if not (shared / "models" / "resnet50_v1.safetensors").exists():
        pytest.skip("there is no real ResNet-50 in the shared folder")
    monkeypatch.setenv("XAI_MODELS_DIR", os.fspath(shared / "models"))
    return Classifier.load(cards()["resnet50_v1"], torch.device("cpu"))


def test_a_real_resnet50_from_a_folder_of_ones_own_names_pictures(shared: Path, resnet50_v1: Classifier) -> None:
    names = ["beagle", "koala", "bagel"]
    assert [named(resnet50_v1, shared / "data" / "labelled16" / f"{name}.jpg") for name in names] == names


def test_the_overrides_of_the_real_resnet50_are_in_force(resnet50_v1: Classifier) -> None:
    for stage in ("layer2", "layer3", "layer4"):
        assert resnet50_v1.network.get_submodule(f"{stage}.0.conv1").stride == (2, 2)
        assert resnet50_v1.network.get_submodule(f"{stage}.0.conv2").stride == (1, 1)


@pytest.mark.slow
def test_the_real_resnet50_names_most_of_the_labelled_pictures(shared: Path, resnet50_v1: Classifier) -> None:
    pictures = sorted((shared / "data" / "labelled16").glob("*.jpg"))
    right = [path.stem for path in pictures if path.stem.startswith(named(resnet50_v1, path))]
    assert len(right) >= 14, right
