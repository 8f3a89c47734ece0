"""A listing, of which only target, code and term matter."""

from datetime import datetime, timedelta

from whimbrel.model.listing import Code, Listing


def listing(target: str, code: Code, since: datetime, seconds: float) -> Listing:
    """Return a listing of so many seconds."""
    return Listing(
        target=target,
        code=code,
        role="unknown",
        since=since,
        until=since + timedelta(seconds=seconds),
        probability_legitimate=1e-5,
        times_listed=1,
        rule_version="test",
        evidence=(),
    )
