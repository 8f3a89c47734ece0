"""A progress bar on standard error for long work: rate, and time left where the end is known."""

import time
from types import TracebackType
from typing import Any, Self

# Ten times a second is as fluent as an eye can tell; redrawing oftener costs time that the work needs.
_REDRAW_SECONDS = 0.1


class Progress:
    """A context manager; call it with (items done, bytes done, bytes in all or None)."""

    def __init__(self, doing: str, item: str, *, shown: bool) -> None:
        self._doing, self._item, self._shown = doing, item, shown
        self._began = self._redrawn = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich import progress  # noqa: PLC0415  a tenth of a second that only long work should cost
            from rich.console import Console  # noqa: PLC0415

            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TaskProgressColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
            )
            self._bar = progress.Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
            self._bar.start()
            self._task = self._bar.add_task(self._doing, total=None, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, items: int, done_bytes: int = 0, total_bytes: int | None = None) -> None:
        """Show how far it is."""
        now = time.monotonic()
        is_over = total_bytes is not None and done_bytes >= total_bytes
        if self._bar is None or (now - self._redrawn < _REDRAW_SECONDS and not is_over):
            return
        self._redrawn = now
        rate = f"{items:,} {self._item}s, {items / max(now - self._began, 1e-9):,.0f}/s"
        self._bar.update(self._task, completed=done_bytes, total=total_bytes, rate=rate)

    def doing(self, what: str) -> None:
        """Name the step that follows, whose length nobody knows beforehand."""
        if self._bar is not None:
            self._bar.update(self._task, description=what)
