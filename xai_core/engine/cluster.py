"""The engine on Ray: one actor for each device, on this machine or on all those of a cluster.

Ray is reached at `RAY_ADDRESS`, or started inside this process, which never imports torch.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from .. import settings
from ..settings import Settings
from ..types import XaiError
from .actor import Actor
from .local import python_path
from .queued import Message, QueuedEngine

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
"""Pause before a Ray that could not be reached is tried again."""
KNOCK_SECONDS = 5.0
"""Longest wait for an address to answer."""
OBJECT_STORE_BYTES = 200 * settings.MEGABYTE
"""Shared memory of a Ray that is started here: it only passes pictures and maps on."""
PREFIXES = ("XAI_", "TORCH_", "OMP_", "MKL_", "OPENBLAS_", "NUMBA_", "CUBLAS_")
"""Variables of the environment that an actor gets; all others are those of its machine."""


class RayEngine(QueuedEngine):
    """Implements `Engine` with Ray actors; see `xai_core.engine.jobs.Engine`.

    An actor on another machine needs this project, and the weights of its models, at the same places as here.
    """

    def __init__(self, warm: Sequence[str] = (), environment: Mapping[str, str] | None = None):
        """`warm` names models to load at the start; `environment` is the actors', this process's by default.

        Raises `XaiError` for a setting that does not fit; whether Ray can be reached turns out later.
        """
        self._environment = dict(environment if environment is not None else os.environ)
        self._settings = settings.from_environment(self._environment)
        super().__init__(self._settings)
        self._warm = list(warm)
        self._ray: Any = None
        self._crew: Crew | None = None
        self._threads.append(threading.Thread(target=self._gather, name="engine", daemon=True))
        self._threads[0].start()

    @property
    def actor_pids(self) -> list[int]:
        """Process ids of the actors that are ready, for tests and operators."""
        links = [seat.link for seat in self._seats if seat.ready]
        return [link.pid for link in links if isinstance(link, ActorLink)]

    def _gather(self) -> None:
        """Makes the places of the actors, as soon as Ray can be reached."""
        while not self._closed.is_set():
            try:
                self._ray = connect(self._environment, self._settings)
                self._crew = Crew.of([node["Resources"] for node in self._ray.nodes() if node["Alive"]], self._settings)
            except Exception as error:  # whatever it is: this thread must not end, or every session waits for ever
                log.info("there is no Ray", exc_info=True)
                self._fail_all(str(error) if isinstance(error, XaiError) else f"Ray does not answer ({_line(error)}).")
                self._closed.wait(RETRY_SECONDS)
                continue
            # what was registered last runs first at the exit: before Ray's own end
            atexit.unregister(self.close)
            atexit.register(self.close)
            with self._lock:
                self.problem = self.problem if self._closed.is_set() else ""
            self._add_seats(self._crew.count)
            return

    def _open(self) -> ActorLink:
        assert self._crew is not None
        return ActorLink(self._ray, self._crew, self._environment, self._warm, self._settings.disk_cache_mb > 0)


@dataclass(frozen=True)
class Crew:
    """How many actors there are, and what each of them takes."""

    count: int
    cpus: int
    gpus: int

    @classmethod
    def of(cls, machines: Sequence[Mapping[str, float]], now: Settings) -> Crew:
        """The actors for these machines, given by Ray's names of their resources.

        Raises `XaiError` when there is not enough for the settings.
        """
        gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
        device = now.device.lower()
        if gpus == 0 and device.startswith("cuda"):
            raise XaiError(f"XAI_DEVICE={now.device} asks for a GPU, and Ray knows none; set it to auto or cpu.")
        if gpus and device != "cpu":
            cpus, room, what = 0, gpus, "GPUs"
        else:
            cpus = now.threads or 1
            room, what = sum(int(machine.get("CPU", 0)) // cpus for machine in machines), f"times {cpus} CPU cores"
        if now.ray_actors > room or room == 0:
            wanted = f"XAI_RAY_ACTORS={now.ray_actors}" if now.ray_actors else "an actor"
            raise XaiError(f"Ray has {room} {what}, which is not enough for {wanted}.")
        return cls(now.ray_actors or room, cpus, 0 if cpus else 1)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """An actor's variables: those of the engine, and none of whoever has started Ray."""
        now = settings.from_environment(given)
        fields = [settings.variable(name) for name in Settings.model_fields]
        return {
            **dict.fromkeys(fields, ""),
            **{name: value for name, value in given.items() if name.startswith(PREFIXES)},
            "XAI_DATA": str(now.data),
            # the one device that Ray gives to the actor; single threads make the profile the same on every machine
            "XAI_DEVICE": "cuda" if self.gpus else "cpu",
            **({} if self.gpus else {"XAI_THREADS": str(self.cpus)}),
            "PYTHONPATH": python_path(given),
            # it does not compute on the main thread, and only the main arena keeps large blocks for the next batch
            "MALLOC_ARENA_MAX": "1",
        }


class ActorLink:
    """A Ray actor; implements `xai_core.engine.queued.Link`."""

    def __init__(self, ray: Any, crew: Crew, environment: Mapping[str, str], warm: Sequence[str], keeps_files: bool):
        """Starts the actor, which waits until Ray has room for it; raises `OSError` when Ray is gone."""
        self.pid = 0
        self._ray = ray
        self._keeps_files, self._here = keeps_files, False
        self._end = "ended"
        options = {
            "num_cpus": crew.cpus,
            "num_gpus": crew.gpus,
            "max_restarts": 0,  # the engine makes another one itself, and knows what to give it
            "max_concurrency": 3,
            "scheduling_strategy": "SPREAD",
            "runtime_env": {"env_vars": crew.environment(environment)},
        }
        try:
            self._actor = ray.remote(Actor).options(**options).remote(list(warm))
        except Exception as error:
            raise OSError(_line(error)) from error

    @property
    def shares_files(self) -> bool:
        return self._here and self._keeps_files

    def send(self, *message: Any) -> None:
        self._actor.hear.remote(pickle.dumps(message))

    def receive(self) -> list[Message]:
        try:
            if not self.pid:
                self.pid, node = self._ray.get(self._actor.place.remote())
                self._here = node == self._ray.get_runtime_context().get_node_id()
            news: list[Message] = self._ray.get(self._actor.speak.remote())
        except Exception as error:
            self._end = f"ended ({_line(error)})"
            raise EOFError from None
        return news

    def close(self, patience: float) -> str:
        try:
            self._ray.kill(self._actor)
        except Exception as error:
            log.info("an actor cannot be ended: %s", _line(error))
        return self._end


_connecting = threading.Lock()


def connect(environment: Mapping[str, str], now: Settings) -> Any:
    """The module `ray`, connected; raises `XaiError` when there is no Ray to be had.

    A Ray that this process is connected to already is used as it is. One that is started here ends with this process.
    """
    try:
        import ray
    except ImportError:
        raise XaiError('XAI_ENGINE=ray needs the package ray; install it with: pip install "ray>=2.60,<3".') from None
    address = environment.get("RAY_ADDRESS", "").strip()
    with _connecting:
        if not ray.is_initialized():
            outcome: Future[None] = Future()
            threading.Thread(target=_hold, args=[ray, address, now, outcome], name="ray", daemon=True).start()
            try:
                outcome.result()
            except Exception as error:
                if not address:
                    raise XaiError(f"Ray cannot be started ({_line(error)}).") from None
                raise XaiError(
                    f"RAY_ADDRESS={address} cannot be reached ({_line(error)}); "
                    "start Ray there with ray start --head and set RAY_AUTH_MODE=token here if it asks for one, "
                    "or unset RAY_ADDRESS to have Ray started here."
                ) from None
    return ray


def _hold(ray: Any, address: str, now: Settings, outcome: Future[None]) -> None:
    """Connects, and stays: the kernel ends what Ray has started when the thread that has started it ends."""
    try:
        if address:
            _knock(address)
            ray.init(address, log_to_driver=False, logging_level="error")
        else:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            wanted = now.ray_actors * (now.threads or 1)
            ray.init(
                "local",
                num_cpus=wanted if wanted > now.cpu_cores else None,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level="error",
            )
    except BaseException as error:
        outcome.set_exception(error)
        return
    outcome.set_result(None)
    threading.Event().wait()


def _knock(address: str) -> None:
    """Raises `OSError` when nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


def _line(error: BaseException) -> str:
    """The first line of an error."""
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error).strip() or type(error).__name__).split("\n", 1)[0][:200].rstrip(".")
