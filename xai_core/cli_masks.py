"""The command line's part for masks: `masks import`, `masks export` and `masks agreement`."""

from __future__ import annotations

import argparse
import getpass
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .images.galleries import folder
from .masks.agreement import Agreement, Confusion
from .masks.consensus import CONSENSUS, consensus
from .masks.exchange import FORMATS, NamedMask, export_masks, import_masks
from .masks.exchange.named import plain_name
from .masks.names import LONGEST, checked_name
from .types import Mask, Picture, XaiError

NUMBERS = ("iou", "dice", "boundary_mean", "boundary_95")
"""What two masks are compared by; kappa comes beside it."""


@dataclass(frozen=True)
class Store:
    """What the commands need of the database; pictures go by their digests.

    `register` keeps a picture and returns its digest, `import_mask` keeps an annotator's mask of a registered picture
    as a submitted one, with who brought it; `latest_masks` has each annotator's newest mask of a picture by name, and
    `pictures_with_masks` how many annotators there are by picture.
    """

    register: Callable[[Picture], str]
    import_mask: Callable[[str, str, Mask, str], Any]
    latest_masks: Callable[[str], Mapping[str, Mask]]
    pictures_with_masks: Callable[[], Mapping[str, int]]
    picture_name: Callable[[str], str]


def database() -> Store:
    """The database that the settings name."""
    from .store import pictures, versions

    return Store(
        pictures.register,
        versions.import_mask,
        versions.latest_masks,
        versions.pictures_with_masks,
        lambda picture: pictures.picture_of(picture).name,
    )


def add_masks(commands: Any, opened: Callable[[], Store] = database) -> None:
    """Adds `masks` to the commands of a parser; `opened` opens the database, once a command runs."""
    masks = commands.add_parser("masks", help="people's masks: in, out, and how far they agree")
    actions = masks.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=type(masks))

    take = actions.add_parser("import", help="masks of other tools: PNG, NPZ, JSON of COCO or Label Studio")
    take.add_argument("source", metavar="DIR", help="a file, or a folder with STEM.png, ANNOTATOR/STEM.png or JSON")
    take.add_argument("--pictures", required=True, metavar="DIR", help="the pictures that the masks are named after")
    take.add_argument("--annotator", metavar="NAME", help="whose they are; default: as the files or folders say")
    take.add_argument("--index", type=int, metavar="N", help="of PNGs that number objects take this one; default: all")
    take.set_defaults(command=lambda options: _import(options, opened()))

    give = actions.add_parser("export", help="the newest masks of everybody, into a new folder")
    give.add_argument("--format", required=True, choices=FORMATS)
    give.add_argument("--out", required=True, metavar="DIR")
    give.set_defaults(command=lambda options: _export(options, opened()))

    agree = actions.add_parser("agreement", help="how far the people agree, on each picture and on all")
    agree.add_argument("--consensus", choices=CONSENSUS, default="staple", help="what each one is held against")
    agree.add_argument("--json", action="store_true", help="for programs: every pair, and why what is undefined")
    agree.set_defaults(command=lambda options: _agreement(options, opened()))


# -- import and export ---------------------------------------------------------------------------------------------


def _import(options: argparse.Namespace, store: Store) -> None:
    gallery = folder(Path(options.pictures))
    if not gallery.samples:
        raise XaiError(f"--pictures: {gallery.hint}")
    found = [_owned(named, options.annotator) for named in import_masks(options.source, gallery.samples, options.index)]
    once: set[tuple[str, str]] = set()
    for named, whose in found:
        if (whose, named.digest) in once:
            people = ", ".join(sorted({str(one.annotator) for one, _ in found})[:5])
            raise XaiError(
                f"{options.source} holds masks of {named.picture} by several people ({people}): "
                "leave --annotator out, and they keep their names."
            )
        if not named.values.any():
            raise XaiError(f"The mask of {named.picture} is empty: mark the object, or take the file away.")
        once.add((whose, named.digest))
    samples = {plain_name(sample.name): sample for sample in gallery.samples}
    who = _user()
    for done, (named, whose) in enumerate(found):
        try:
            store.import_mask(whose, store.register(samples[named.picture].open()), named.mask, who)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Stopped; {_count(done, 'mask')} of {len(found)} are kept.") from None
    people = ", ".join(sorted({whose for _, whose in found}))
    print(
        f"Imported {_count(len(found), 'mask')} of {_count(len({one.digest for one, _ in found}), 'picture')} "
        f"by {people}."
    )


def _owned(named: NamedMask, annotator: str | None) -> tuple[NamedMask, str]:
    """A mask and whose it is: what the option says, or else the file."""
    if annotator is not None:
        checked_name(annotator)
    whose = annotator if annotator is not None else named.annotator
    if whose is None:
        raise XaiError(f"Nothing says whose mask of {named.picture} it is: add --annotator NAME.")
    return named, whose


def _user() -> str:
    """The system's name of whoever runs the command, as a name that can be kept."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = ""
    letters = "".join(one if one.isprintable() and one not in "/\\" else "-" for one in name)
    return letters.strip(". ")[:LONGEST] or "command line"


def _export(options: argparse.Namespace, store: Store) -> None:
    if not options.out.strip():
        raise XaiError("--out names no folder; name one, such as --out masks.")
    masks = [
        NamedMask.of(store.picture_name(picture), picture, annotator, mask.values)
        for picture in store.pictures_with_masks()
        for annotator, mask in store.latest_masks(picture).items()
    ]
    export_masks(masks, options.format, options.out)
    print(f"Wrote {_count(len(masks), 'mask')} to {options.out}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# -- agreement -----------------------------------------------------------------------------------------------------


def _agreement(options: argparse.Namespace, store: Store) -> None:
    pictures: list[tuple[str, str, Agreement]] = []
    for digest, people in store.pictures_with_masks().items():
        if people > 1:
            masks = {name: mask.values for name, mask in store.latest_masks(digest).items()}
            found = Agreement.of(masks, consensus(options.consensus, list(masks.values())))
            pictures.append((digest, store.picture_name(digest), found))
    if not pictures:
        raise XaiError("No picture has masks by two people or more, so that there is nothing to compare yet.")
    everything = Agreement.over([one for _, _, one in pictures])
    if options.json:
        content = {
            "consensus": options.consensus,
            "set": _facts(everything, pairs=False),
            "pictures": [{"picture": name, "digest": digest, **_facts(one)} for digest, name, one in pictures],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
        return
    rows = [_row(name, len(one.people), one) for _, name, one in pictures]
    rows.append(_row("all pictures", len(everything.people), everything))
    _table(["picture", "people", "IoU", "Dice", "kappa", "boundary px", "95 % px"], rows)
    print()
    title = CONSENSUS[options.consensus][0]
    people_rows = [
        [name, *map(_number, (one.sensitivity, one.specificity))] for name, one in sorted(everything.people.items())
    ]
    _table(["annotator", "sensitivity", "specificity"], people_rows)
    print(
        f"\nOverlaps and boundaries are means over pairs; people are held against the consensus ({title}) of each "
        "picture, themselves among it. nan is undefined: --json says why."
    )


def _row(name: str, people: int, found: Agreement) -> list[str]:
    numbers = [found.mean("iou"), found.mean("dice"), found.kappa, *map(found.mean, ("boundary_mean", "boundary_95"))]
    return [name, str(people), *map(_number, numbers)]


def _number(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.3f}"


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        first, *others = (
            f"{text:>{width}}" if n else f"{text:<{width}}"
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]))


def _facts(found: Agreement, pairs: bool = True) -> dict[str, Any]:
    """An agreement as JSON has it: null where undefined, with a reason."""
    facts: dict[str, Any] = {name: _known(found.mean(name)) for name in NUMBERS}
    facts |= {"kappa": _known(found.kappa), "reasons": found.reasons}
    facts["annotators"] = {name: _person(one) for name, one in found.people.items()}
    if pairs:
        facts["pairs"] = [
            {
                "annotators": list(pair.people),
                **{name: _known(getattr(pair, name)) for name in NUMBERS},
                "reasons": pair.reasons,
            }
            for pair in found.pairs
        ]
    return facts


def _person(one: Confusion) -> dict[str, Any]:
    return {
        "sensitivity": _known(one.sensitivity),
        "specificity": _known(one.specificity),
        "reasons": one.reasons,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
