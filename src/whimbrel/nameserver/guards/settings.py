"""What an operator says of the guards."""

from pathlib import Path

import msgspec

from whimbrel.nameserver.guards.limits import RATE, SLIP

# Nobody forges a loopback address from outside (every kernel drops such packets), and behind it are a machine's own
# resolver and its users, so many in one network that a limit would only hit them.
LOOPBACK = ("127.0.0.0/8", "::1")


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Networks are texts; `rate` is answers a second (0: no limit); `slip`: one in how many withheld goes out empty."""

    rate: int = RATE
    slip: int = SLIP
    exempt: tuple[str, ...] = LOOPBACK
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    subscribers: Path | None = None
    cookie_secrets: Path | None = None
    known: Path | None = None  # networks that are answered first
    learned: Path | None = None  # where those are kept that are learned

    @property
    def knows(self) -> bool:
        """Whether there may be known networks."""
        return self.known is not None or self.learned is not None
