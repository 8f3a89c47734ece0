"""The life of a listing: `candidate -> listed -> expired`, removal by a person; relisting doubles the term.

Each function changes one `Standing` and returns the event that says so.  Times are arguments.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from whimbrel.listings.state import Judgement, Standing
from whimbrel.model.listing import Code, Event, Role, State

# A listing is renewed when new spam comes and less than this share of its term is left: at most two events a term.
RENEW_BELOW: Final = 0.5


def candidate(
    standing: Standing, target: str, at: datetime, actor: str, *, judged: Judgement, evidence: Sequence[bytes]
) -> Event:
    """Note a target as worth watching."""
    standing.state = "candidate"
    return _event(
        standing, target, at, actor, why="bad mail was seen, not yet enough to list", judged=judged, evidence=evidence
    )


def listed(
    standing: Standing,
    target: str,
    at: datetime,
    actor: str,
    *,
    judged: Judgement,
    evidence: Sequence[bytes],
    code: Code,
    role: Role,
    term_seconds: float,
    half_life_seconds: float,
    why: str,
) -> Event | None:
    """List a target, renew its listing, or return None where the listing it has will do."""
    again = standing.state == "listed"
    times = standing.times_listed if again else standing.times_listed + 1
    term = timedelta(seconds=term_after(times, term_seconds, half_life_seconds))
    if again and standing.code == code and standing.until is not None and standing.until - at > term * RENEW_BELOW:
        return None
    standing.until = at + term if standing.until is None or not again else max(standing.until, at + term)
    standing.since = standing.since if again else at
    standing.state, standing.code, standing.role, standing.times_listed = "listed", code, role, times
    return _event(standing, target, at, actor, why=why, judged=judged, evidence=evidence)


def ended(
    standing: Standing,
    target: str,
    at: datetime,
    actor: str,
    *,
    change: State,
    why: str,
    judged: Judgement | None = None,
) -> Event:
    """End a listing: `expired` by itself or by new evidence, `removed` by a person or the allow list."""
    standing.state = change
    standing.until = at
    if change == "removed":
        standing.removed_at = at
    return _event(standing, target, at, actor, why=why, judged=judged, evidence=())


def carried(standing: Standing, event: Event) -> None:
    """Bring a standing to where a recorded event left it; events that change none (`refused`) leave it as it is."""
    if event.change == "listed":
        again = standing.state == "listed"
        standing.since = standing.since if again else event.at
        standing.times_listed += 0 if again else 1
        standing.state, standing.code, standing.role, standing.until = "listed", event.code, event.role, event.until
    elif event.change in {"expired", "removed"}:
        standing.state, standing.until = event.change, event.at
        standing.removed_at = event.at if event.change == "removed" else standing.removed_at
    elif event.change == "candidate":
        standing.state = "candidate"


def term_after(times_listed: int, term_seconds: float, half_life_seconds: float) -> float:
    """Return the term of the n-th listing: doubled each time, never past the half-life of reassignment."""
    # The exponent is bounded because the float would overflow; 2**64 terms pass any half-life.
    return min(term_seconds * 2.0 ** min(times_listed - 1, 64), half_life_seconds)


def _event(
    standing: Standing,
    target: str,
    at: datetime,
    actor: str,
    *,
    why: str,
    judged: Judgement | None,
    evidence: Sequence[bytes],
) -> Event:
    state = standing.state
    if state is None:
        raise AssertionError("an event needs a state")
    live = state == "listed"
    return Event(
        at=at,
        target=target,
        change=state,
        actor=actor,
        code=standing.code if live else None,
        role=standing.role if live else None,
        until=standing.until if live else None,
        score=None if judged is None else judged.score,
        prior_logit=None if judged is None else judged.prior_logit,
        probability_legitimate=None if judged is None else judged.probability_legitimate,
        why=why,
        evidence=tuple(evidence),
    )
