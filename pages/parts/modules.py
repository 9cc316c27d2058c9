"""Files that a browser fetches by an address: a component's modules, and pictures too large to travel with its data.

They are served by Streamlit's own store of media, under names made from their content: a browser may keep them as long
as it likes, and never shows an old script after an upgrade.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from streamlit import runtime

IMPORT = re.compile(r'(?<=from ")\./([\w.]+)(?=";)')


def address(data: bytes, kind: str, place: str, name: str | None = None) -> str:
    """The path under which a browser of this session gets the data; `kind` is its MIME type.

    `place` says what it is for: the session keeps the last file of each place until its page runs again. `name` is
    needed for more than a megabyte: Streamlit does not look at all of it to tell it from others.
    """
    return str(runtime.get_instance().media_file_mgr.add(data, kind, place, file_name=name))


def script(folder: Path, main: str) -> str:
    """The path of an ES module in `folder`, with all that it imports by `from "./NAME.js"` served beside it."""
    addresses: dict[str, str] = {}
    for name in _order(folder, main):
        text = IMPORT.sub(lambda found: "./" + addresses[found[1]].rsplit("/", 1)[-1], _text(folder / name))
        addresses[name] = address(text.encode(), "text/javascript", f"module {folder.name}/{name}")
    return addresses[main]


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _order(folder: Path, main: str) -> tuple[str, ...]:
    """The names of the modules, each after all that it imports."""
    order: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...] = ()) -> None:
        if name in above:
            raise ValueError(f"the modules {', '.join([*above, name])} import each other in a circle")
        for other in IMPORT.findall(_text(folder / name)):
            visit(other, (*above, name))
        order[name] = None

    visit(main)
    return tuple(order)
