"""What is read from torchvision's source text is what the imported torchvision says."""

from __future__ import annotations

import re

import pytest
import torchvision

from xai_core.classifiers import torchvision_facts
from xai_core.classifiers.cards import Card, cards
from xai_core.types import XaiError

MEBIBYTE = 2**20

ARCHITECTURES = torchvision.models.list_models(module=torchvision.models)


def torchvision_cards() -> list[Card]:
    return [card for card in cards().values() if card.architecture.startswith("torchvision/")]


def test_most_built_in_cards_are_torchvisions() -> None:
    assert {card.name for card in torchvision_cards()} == {
        "vgg16",
        "resnet50",
        "densenet121",
        "alexnet",
        "resnet50_v2weights",
    }


@pytest.mark.parametrize("card", torchvision_cards(), ids=lambda card: card.name)
def test_the_facts_of_a_built_in_card_are_the_enums(card: Card) -> None:
    architecture = card.architecture.partition("/")[2]
    assert isinstance(card.weights, str)
    member = torchvision.models.get_model_weights(architecture)[card.weights]
    facts = torchvision_facts.checkpoint(architecture, card.weights)
    assert facts.url == member.url
    assert facts.size == round(member.meta["_file_size"] * MEBIBYTE)
    assert card.labels == tuple(member.meta["categories"])


@pytest.mark.parametrize("card", torchvision_cards(), ids=lambda card: card.name)
def test_the_preprocessing_of_a_built_in_card_is_the_enums(card: Card) -> None:
    assert isinstance(card.weights, str)
    preset = torchvision.models.get_model_weights(card.architecture.partition("/")[2])[card.weights].transforms()
    stated = card.preprocess
    assert ([stated.resize], [stated.crop], stated.interpolation) == (
        preset.resize_size,
        preset.crop_size,
        preset.interpolation.value,
    )
    assert (list(stated.mean), list(stated.std)) == (preset.mean, preset.std)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_published_checkpoint_is_known(architecture: str) -> None:
    for member in torchvision.models.get_model_weights(architecture):
        facts = torchvision_facts.checkpoint(architecture, member.name)
        assert (facts.url, facts.size) == (member.url, round(member.meta["_file_size"] * MEBIBYTE))


def test_many_architectures_were_compared() -> None:
    assert len(ARCHITECTURES) > 70


@pytest.mark.parametrize("card", torchvision_cards(), ids=lambda card: card.name)
def test_the_hash_prefix_is_what_torch_hub_reads_from_the_file_name(card: Card) -> None:
    assert isinstance(card.weights, str)
    facts = torchvision_facts.checkpoint(card.architecture.partition("/")[2], card.weights)
    from torch.hub import HASH_REGEX

    found = HASH_REGEX.search(facts.file)
    assert found is not None
    assert facts.hash_prefix == found.group(1)
    assert facts.url.endswith("/" + facts.file)


@pytest.mark.parametrize("architecture", ["nonet", "fcn_resnet50", "VGG", "_resnet", "register_model", ""])
def test_an_unknown_architecture_is_answered_with_a_sentence(architecture: str) -> None:
    with pytest.raises(XaiError, match=re.escape(f"torchvision has no classifier {architecture!r}")):
        torchvision_facts.checkpoint(architecture, "IMAGENET1K_V1")


def test_an_unknown_member_is_answered_with_the_possible_ones() -> None:
    with pytest.raises(XaiError) as caught:
        torchvision_facts.checkpoint("resnet50", "IMAGENET1K_V9")
    assert str(caught.value) == (
        "torchvision's resnet50 has no weights 'IMAGENET1K_V9'; it has IMAGENET1K_V1, IMAGENET1K_V2."
    )
