"""A browser session without a browser: Streamlit's messages over a websocket, as its own front end sends them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

from ..types import XaiError

ANSWER_SECONDS = 60.0
"""A dashboard that needs longer for a script run has failed."""
LOST = 2
"""Streamlit loses the end of a run when a poll comes in just then; what is polled after that shows the run's result."""
REMEMBERED_RUNS = 2
"""How many script runs the front end remembers a message for, so that it is not sent again."""


class Visitor:
    """One session: says what its widgets show, polls as the page asks it to, and hands every component's data on.

    `on_data(name, data)` gets a component's name and its JSON, whenever a message brings it and it is for the present
    choice: what comes between a change and the beginning of its script run is for the one before.
    """

    def __init__(self, address: str, on_data: Callable[[str, bytes], None]):
        self._address = address
        self._on_data = on_data
        self._socket: ClientConnection | None = None
        self._widgets: dict[str, WidgetState] = {}
        self._kept: dict[str, tuple[ForwardMsg, int]] = {}
        self._runs = 0
        self._ids: dict[str, str] = {}
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._polled = 0
        self._started = self._closed = False
        self._finished = asyncio.Event()
        self.fragment_runs = 0
        self.received = 0
        """Bytes that came so far."""
        self.problems: list[str] = []
        """Texts of exceptions that the page has shown."""

    async def run(self) -> None:
        """Connects and listens until cancelled."""
        url = f"ws://{self._address}/_stcore/stream"
        async with connect(url, subprotocols=["streamlit"], max_size=None, ping_interval=None) as socket:  # type: ignore[list-item]
            self._socket = socket
            await self._rerun()
            try:
                async for data in socket:
                    assert isinstance(data, bytes)
                    self.received += len(data)
                    await self._hear(ForwardMsg.FromString(data))
            finally:
                self._closed = True
                self._stop_polls()

    async def change(self, label: str, **value: Any) -> float:
        """Sets a widget by the beginning of its key or label; returns the seconds until the script run has ended.

        `value` is one field of Streamlit's WidgetState, such as `double_array_value=[3.0]`.
        """
        widget = WidgetState(id=self.widget(label))
        ((kind, given),) = value.items()
        if isinstance(given, list):
            getattr(widget, kind).data.extend(given)
        else:
            setattr(widget, kind, given)
        self._widgets[widget.id] = widget
        self._started, self._polled = False, 0
        self._finished.clear()
        started = time.perf_counter()
        await self._rerun()
        await self.settled()
        return time.perf_counter() - started

    async def settled(self) -> None:
        """Returns when a script run has ended, at once when one has ended since the last change.

        Raises `XaiError` when the dashboard does not answer.
        """
        try:
            await asyncio.wait_for(self._finished.wait(), ANSWER_SECONDS)
        except TimeoutError:
            reason = "closed the connection" if self._closed else f"did not answer for {ANSWER_SECONDS:.0f} s"
            raise XaiError(f"The dashboard {reason}; look at what else keeps the machine busy.") from None

    def widget(self, key: str) -> str:
        """The id of the widget with this key."""
        return self._ids[key]

    @property
    def keys(self) -> set[str]:
        """Keys of all widgets that were shown."""
        return set(self._ids)

    async def _rerun(self, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.widget_states.widgets.extend(self._widgets.values())
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        state.cached_message_hashes.extend(self._kept)
        assert self._socket is not None
        await self._socket.send(message.SerializeToString())

    async def _hear(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            known = self._kept[message.ref_hash][0]
            self._kept[message.ref_hash] = (known, self._runs)
            message, kind = known, known.WhichOneof("type")
        elif message.metadata.cacheable:
            self._kept[message.hash] = (message, self._runs)
        if kind == "new_session":
            if not message.metadata.run.fragment_ids:
                self._started = True
                self._stop_polls()
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._see(message.delta.new_element)
        elif kind == "auto_rerun":
            self._poll(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._stop_poll(fragment)
        elif kind == "script_finished":
            self._end_of_run(message.script_finished)

    def _end_of_run(self, status: int) -> None:
        if status == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
            self.fragment_runs += 1
            self._polled += 1
            if self._started or self._polled > LOST:
                self._finished.set()
        elif status == ForwardMsg.FINISHED_SUCCESSFULLY:
            self._runs += 1
            for name in [name for name, (_, run) in self._kept.items() if run < self._runs - REMEMBERED_RUNS]:
                del self._kept[name]
            if self._started:
                self._finished.set()

    def _see(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        shown = getattr(element, kind)
        if kind == "exception":
            self.problems.append(shown.message)
        elif kind == "bidi_component":
            self._ids[_key(shown.id)] = shown.id
            if self._started:
                self._on_data(_key(shown.id), shown.bytes)
        elif any(field.name == "id" for field in shown.DESCRIPTOR.fields):
            self._ids[_key(shown.id)] = shown.id

    def _poll(self, fragment: str, interval: float) -> None:
        async def poll() -> None:
            while True:
                await asyncio.sleep(interval)
                await self._rerun(fragment)

        self._stop_poll(fragment)
        self._polls[fragment] = asyncio.create_task(poll())

    def _stop_poll(self, fragment: str) -> None:
        if fragment in self._polls:
            self._polls.pop(fragment).cancel()

    def _stop_polls(self) -> None:
        for fragment in list(self._polls):
            self._stop_poll(fragment)


def _key(identity: str) -> str:
    """The key that the page gave to a widget: "$$ID-HASH-KEY"."""
    return identity.split("-", 2)[-1]
