"""What systemd is told, where it asks: sd_notify(3), one datagram a message."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Tells the service manager how it goes; says nothing where none asks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        self._watchdog_seconds = int(watchdog) / 2e6 if watchdog.isdigit() else None  # twice as often as it asks
        self._beat = 0.0

    def ready(self) -> None:
        """Say that the service is up, or up again after a reload."""
        self._say("READY=1")

    def reloading(self) -> None:
        """Say that the settings are being read again."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Say what `systemctl status` shows."""
        self._say(f"STATUS={text}")

    def beat(self) -> None:
        """Say that the loop turns, as often as the watchdog wants to hear it."""
        now = time.monotonic()
        if self._watchdog_seconds is not None and now - self._beat >= self._watchdog_seconds:
            self._beat = now
            self._say("WATCHDOG=1")

    def _say(self, message: str) -> None:
        if not self._path:
            return
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.sendto(message.encode(), address)
