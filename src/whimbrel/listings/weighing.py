"""What one observation weighs, from itself alone.

What weighs nothing: labels `unknown`; a verdict taken from a list (`label_basis` list: it may have been ours);
connections; spam that a mail server passed on, for forwarding and list bombing would otherwise list the victim.
Whoever makes observations gives bounces and sign-up confirmations, which a server makes itself, the label `unknown`.
"""

from typing import Final, NamedTuple

from whimbrel.listings.assignment import Look
from whimbrel.listings.state import Seen

# Methods by which an infection was seen in what the host itself did; `list` and `other` are hearsay.
OWN_WORK: Final = frozenset({"payload", "sinkhole", "behaviour"})


class Worth(NamedTuple):
    """What one observation weighs, in messages."""

    spam: float = 0.0
    ham: float = 0.0
    reports: float = 0.0
    hard: float = 0.0


NOTHING: Final = Worth()


def worth_of(row: Seen, look: Look, *, trusted: bool) -> Worth:
    """Return what an observation of a host of this look weighs; `trusted` whether its sensor's worm verdicts are."""
    count = float(row.count)
    if row.kind == "infection":
        own_work = row.method in OWN_WORK and not row.received_below and not look.server_like
        return Worth(hard=count) if own_work and trusted else NOTHING
    if row.label == "unknown" or row.label_basis == "list" or row.kind == "connection":
        return NOTHING
    if row.label == "ham":
        return Worth(ham=count)
    if look.server_like and _is_passed_on(row, look):
        return NOTHING
    return Worth(reports=count) if row.kind == "report" else Worth(spam=count)


def _is_passed_on(row: Seen, look: Look) -> bool:
    """Tell whether spam of a mail server is somebody else's: it was forwarded, or written in a web page.

    Any Received line below the peer's makes it so, unless the lines themselves show that the message began there
    (`passed_on`).  What a server that says mail hands on from its own machines is its users' all the same.
    """
    if not row.received_below:
        return False
    return row.passed_on is not False or look.shape == "mail-same"
