"""The control process: settings, signals, the loop, and the name server beside it.

    SIGTERM, SIGINT  end in order: no new mail, the turn is finished, the list published, the store closed, and only
                     then the name server ends
    SIGHUP           read the settings again; where one is wrong, none is taken, and the old ones stay in force

The sockets that the name server answers on are bound here and stay open, whichever child answers on them: neither a
reload nor a child's death loses a query that the kernel has taken.
"""

import logging
import queue
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from socket import socket
from typing import NamedTuple, Protocol

from whimbrel.errors import ConfigError, SnapshotError, WhimbrelError
from whimbrel.evidence import Evidence
from whimbrel.model.endpoint import Endpoint, parse_endpoint, strangers
from whimbrel.pipeline.clock import SteadyClock
from whimbrel.pipeline.config import Config
from whimbrel.pipeline.running.child import NameServer
from whimbrel.pipeline.running.cycle import EVERYTHING, Cycle, snapshot_place
from whimbrel.pipeline.running.health import Health, Pages
from whimbrel.pipeline.running.metrics import Metrics
from whimbrel.pipeline.running.notify import Notifier
from whimbrel.pipeline.running.watching import Changes, Watcher
from whimbrel.wire.snapshot import Snapshot

# How long a new name server may take to answer before the old one is ended all the same.
_HANDOVER_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Held(Protocol):
    """An endpoint and its bound sockets."""

    @property
    def endpoint(self) -> Endpoint:
        """Where they are bound."""

    @property
    def udp(self) -> socket:
        """The one for datagrams."""

    @property
    def tcp(self) -> socket:
        """The one that listens."""


class Tools(NamedTuple):
    """What the command line lends, which alone knows the name server and the terminal."""

    load: Callable[[], Config]
    bind: Callable[[Sequence[Endpoint]], Sequence[Held]]
    command: Callable[[Config, Path, Sequence[int]], Sequence[str]]  # settings, snapshot, descriptors
    set_up_log: Callable[[str, str], None]  # format, level
    clock: Callable[[], datetime]
    is_told: bool  # whether somebody said what time it is
    running: Callable[["Running"], None]  # told once, when the service is up


class Running(NamedTuple):
    """Where a service that is up can be asked."""

    listening: tuple[Endpoint, ...]
    metrics: Endpoint | None
    name_server: int | None  # its process


class Supervisor:
    """One service, from `run` to its end."""

    def __init__(self, config: Config, tools: Tools, notifier: Notifier) -> None:
        self._config = config
        self._tools = tools
        self._notifier = notifier
        self._metrics = Metrics()
        self._health = Health(tools.clock())
        self._waking: queue.SimpleQueue[None] = queue.SimpleQueue()  # whose put may be called from a signal handler
        self._is_ending = False
        self._is_reloading = False
        self._is_up = False
        self._sockets: list[Held] = []
        self._name_server: NameServer | None = None
        self._pages: Pages | None = None
        self._looked_at = 0.0
        self._path = snapshot_place(config)

    def run(self) -> None:
        """Run until told to end; raises WhimbrelError where it cannot begin."""
        Evidence.check_free(Path(self._config.store.data))  # else its ports would be said to be the trouble
        with ExitStack() as stack:
            stack.callback(self._let_go)
            self._pages = self._new_pages(self._config, None)
            self._sockets = self._bound(self._config)
            self._catch_signals()
            self._serve_when_there_is_a_list()  # answers go on while the store is opened
            cycle = Cycle(self._config, SteadyClock(self._tools.clock), self._metrics, is_told=self._tools.is_told)
            stack.callback(cycle.close)
            cycle.warm_up()
            watcher = self._watcher(cycle)
            changes = EVERYTHING
            while not self._is_ending:
                if self._is_reloading:
                    watcher, changes = self._reload(cycle, watcher, changes)
                wait_seconds = cycle.turn(changes)
                self._tend(cycle)
                self._wait(min(wait_seconds, self._look_due_seconds(watcher)))
                changes = self._changes(watcher)
            _log.info("ending in order")
            self._notifier.stopping()
            watcher.close()
            cycle.publish(at_once=True)

    def _changes(self, watcher: Watcher) -> Changes:
        changes = watcher.take()
        self._metrics.polling.set(watcher.is_polling)
        if self._look_due_seconds(watcher) <= 0:
            changes = EVERYTHING
        if changes.all_of_them:
            self._looked_at = time.monotonic()
        return changes

    def _look_due_seconds(self, watcher: Watcher) -> float:
        cycle = self._config.cycle
        every = cycle.poll_seconds if watcher.is_polling else cycle.look_seconds
        return max(0.0, self._looked_at + every - time.monotonic())

    def _wait(self, seconds: float) -> None:
        try:
            self._waking.get(timeout=seconds)
            while True:
                self._waking.get_nowait()
        except queue.Empty:
            return

    def _wake(self) -> None:
        self._waking.put(None)

    def _catch_signals(self) -> None:
        def end(number: int, _: object) -> None:
            del number
            self._is_ending = True
            self._wake()

        def reload(number: int, _: object) -> None:
            del number
            self._is_reloading = True
            self._wake()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.signal(signal.SIGHUP, reload)

    def _tend(self, cycle: Cycle) -> None:
        """Look after the name server, and tell how it goes."""
        self._serve_when_there_is_a_list()
        if self._name_server is not None:
            self._name_server.check()
        reasons = self._reasons(cycle)
        serving = None if self._name_server is None else self._name_server.serial
        self._health.beat(reasons, cycle.serial, serving)
        self._notifier.beat()
        if not self._is_up and not reasons:
            self._is_up = True
            self._notifier.ready()
            self._tools.running(self._running())

    def _running(self) -> Running:
        return Running(
            listening=tuple(each.endpoint for each in self._sockets),
            metrics=None if self._pages is None else self._pages.endpoint,
            name_server=None if self._name_server is None else self._name_server.pid,
        )

    def _reasons(self, cycle: Cycle) -> list[str]:
        """Return why the service is not ready; nothing where it is."""
        reasons = cycle.faults()
        if cycle.serial is None:
            reasons.append("no snapshot was published yet")
        if self._sockets and (self._name_server is None or not self._name_server.is_answering):
            reasons.append("the name server does not answer")
        return reasons

    # The name server

    def _bound(self, config: Config) -> list[Held]:
        """Return sockets for the endpoints of some settings, those that are held already among them."""
        if self._sockets and config.serve == self._config.serve:
            return self._sockets
        wanted = [parse_endpoint(text) for text in config.serve.listen]
        held = {each.endpoint: each for each in self._sockets}
        new = self._tools.bind([endpoint for endpoint in wanted if endpoint not in held])
        return [*(held[endpoint] for endpoint in wanted if endpoint in held), *new]

    def _serve_when_there_is_a_list(self) -> None:
        """Start the name server; raises ConfigError where the list may not be served there."""
        if self._name_server is None and self._sockets:
            snapshot = self._snapshot()
            if snapshot is not None:
                _check_demo(snapshot, [held.endpoint for held in self._sockets])
                self._name_server = self._new_name_server(self._config)
                self._name_server.start()

    def _snapshot(self) -> Snapshot | None:
        """Return the snapshot to begin with, where there is a good one."""
        try:
            return Snapshot.open(self._path.read_bytes(), now=self._tools.clock().timestamp())
        except (OSError, SnapshotError):
            return None

    def _new_name_server(self, config: Config) -> NameServer:
        descriptors = [each.fileno() for held in self._sockets for each in (held.udp, held.tcp)]
        return NameServer(lambda: self._tools.command(config, self._path, descriptors), descriptors, self._metrics)

    def _replace_name_server(self) -> None:
        """Put a name server by the new settings in the place of the old, which ends when the new one answers."""
        old = self._name_server
        self._name_server = new = self._new_name_server(self._config) if self._sockets else None
        if new is not None:
            new.start()
            due = time.monotonic() + _HANDOVER_SECONDS
            while not new.is_answering and time.monotonic() < due:
                time.sleep(0.02)
        if old is not None:
            old.end()

    def _let_go(self) -> None:
        if self._name_server is not None:
            self._name_server.end()
        if self._pages is not None:
            self._pages.close()
        for held in self._sockets:
            _close(held)

    # Settings

    def _reload(self, cycle: Cycle, watcher: Watcher, changes: Changes) -> tuple[Watcher, Changes]:
        """Read the settings again; return the watcher and the changes to go on with."""
        self._is_reloading = False
        self._notifier.reloading()
        try:
            config = self._tools.load()
            self._check_changes(config)
            sockets = self._bound(config)
            try:
                pages = self._new_pages(config, self._pages)
            except ConfigError:
                for held in sockets:
                    if held not in self._sockets:
                        _close(held)
                raise
        except WhimbrelError as error:
            _log.error("the settings are not taken, the old ones stay in force: %s", error)
            self._metrics.reloads.labels("refused").inc()
        else:
            watcher, changes = self._take_up(config, sockets, pages, cycle, watcher, changes)
            _log.info("the settings were read again, and are in force")
            self._metrics.reloads.labels("taken").inc()
        self._notifier.ready()
        return watcher, changes

    def _take_up(  # noqa: PLR0917 - private, and all of it is needed
        self,
        config: Config,
        sockets: list[Held],
        pages: Pages | None,
        cycle: Cycle,
        watcher: Watcher,
        changes: Changes,
    ) -> tuple[Watcher, Changes]:
        old, self._config = self._config, config
        self._tools.set_up_log(config.log.format, config.log.level)
        cycle.take_up(config)
        if pages is not self._pages:
            if self._pages is not None:
                self._pages.close()
            self._pages = pages
        if (config.watch, config.cycle) != (old.watch, old.cycle):
            watcher.close()
            watcher, changes = self._watcher(cycle), EVERYTHING
        if (config.serve, config.log) != (old.serve, old.log):
            dropped = [held for held in self._sockets if held not in sockets]
            self._sockets = sockets
            self._replace_name_server()
            for held in dropped:
                _close(held)
        return watcher, changes

    def _check_changes(self, config: Config) -> None:
        """Raise ConfigError where a setting has changed that a running service cannot change."""
        old = self._config
        for key, before, after in (
            ("store.data", old.store.data, config.store.data),
            ("policy.profile", old.policy.profile, config.policy.profile),
            ("publish.snapshot", old.publish.snapshot, config.publish.snapshot),
        ):
            if before != after:
                raise ConfigError(f"{key} changed from {before!r} to {after!r}, which takes a restart")
        snapshot = self._snapshot()
        if snapshot is not None:
            _check_demo(snapshot, [parse_endpoint(text) for text in config.serve.listen])

    def _new_pages(self, config: Config, held: Pages | None) -> Pages | None:
        """Return the pages for some settings, which are those held where nothing changed."""
        if held is not None and config.metrics == self._config.metrics:
            return held
        if not config.metrics.listen:
            return None
        return Pages(parse_endpoint(config.metrics.listen), self._health, self._metrics)

    def _watcher(self, cycle: Cycle) -> Watcher:
        places = [each.place for each in cycle.places.places]
        settings = self._config.cycle
        self._looked_at = time.monotonic()
        return Watcher(places, self._wake, gather_seconds=settings.gather_seconds, polling=settings.polling)


def _check_demo(snapshot: Snapshot, listen: Sequence[Endpoint]) -> None:
    """Raise ConfigError where a demo's list, whose addresses belong to others now, would be served to strangers."""
    asked = strangers(listen)
    if snapshot.zone.demo and asked:
        raise ConfigError(f"serve.listen: a demo's list is served on 127.0.0.1 or ::1 only, not on {asked[0]}")


def _close(held: Held) -> None:
    held.udp.close()
    held.tcp.close()
