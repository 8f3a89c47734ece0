"""Every number of the policy, with its source; two profiles.

`shared`: the list is served to strangers.  A claim must hold without trusting any one sensor, and ends soon.
`own`: an operator's list for its own servers from what those servers received.  No second sensor is needed, for a
third party cannot forge the peer of a TCP connection; the term follows how long an address goes on spamming *here*.

LLRs are natural logarithms.  Measurements are of the shipped corpus (docs/listing.md has the tables).
"""

import hashlib
from typing import Final

import msgspec

DAY_SECONDS: Final = 86_400.0

RULES: Final = 3  # the version of the rules themselves; settings add their own digest


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be set; `rule_version` names all of it."""

    profile: str
    # Listed when P(legitimate) is at or below this (design: 1e-4; `own`: the replay curve is flat, 0.02 to 0.003).
    q: float
    # Independent sensors that must have seen a host spam, hard evidence aside (design: 3).
    sensors_needed: int
    # Whether every sensor's worm verdict is hard evidence, or only those named to the Decider.
    trusts_every_sensor: bool
    # How long evidence counts (e-folding), by how the address was assigned (design: hours, and a week).
    static_tau_seconds: float
    dynamic_tau_seconds: float
    # The first term of a listing, and what doubling may not pass: the half-life of reassignment.
    static_term_seconds: float
    dynamic_term_seconds: float
    static_half_life_seconds: float
    dynamic_half_life_seconds: float
    # Distinct spamming hosts that prove a network (/24, /48) to be run by spammers; its term; and what P of a fresh
    # host in it must be at most (8 of 100 fresh hosts were ham where one neighbour had spammed, 2 of 32 where two had).
    network_hosts: int
    network_term_seconds: float
    network_q: float
    # The same for a range whose spamming addresses have no names of their own (code 10); None: never listed.
    range_hosts: int | None
    range_q: float
    # How long evidence must have been gathered before "no ham for 60 days" can be said at all.
    network_watch_seconds: float

    # One spam message, against how often a legitimate host begins with one.  Hosts whose names agree (mail servers): 21
    # of 498 did, ln(498 / 21) = 3.2; all others: 1 of 393, ln(393 / 1) = 6.0.
    server_spam_llr: float = 3.2
    spam_llr: float = 6.0
    # One ham message from a host that only spams is a label's mistake, taken as one in a thousand: ln(1000) = 6.9.
    ham_llr: float = 6.9
    # A trusted worm verdict on what the host itself made: a scanner's false alarm on legitimate mail is taken as 1e-5.
    hard_llr: float = 11.5
    # A report is a person pressing a button, taken to be wrong one time in ten: ln(10) = 2.3.
    report_llr: float = 2.3
    # A sensor's n messages count as log2(1 + n), never above this many: seven messages say what seven thousand say.
    spam_cap: float = 3.0
    # The same for ham; a host known for years is not unlisted faster than one known for a month of daily mail.
    ham_cap: float = 5.0
    # Ham is remembered for the 60 days that a network must be free of it (design).
    ham_tau_seconds: float = 60 * DAY_SECONDS
    network_ham_free_seconds: float = 60 * DAY_SECONDS
    # A host at or below this P, and not yet listed, is a candidate: the design's q taken half way (in powers of ten).
    candidate_q: float = 0.01

    @property
    def rule_version(self) -> str:
        """Name profile, rules and all settings: equal names decide equally."""
        digest = hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:8]
        return f"{self.profile}-{RULES}-{digest}"


SHARED: Final = Settings(
    profile="shared",
    q=1e-4,
    sensors_needed=3,
    trusts_every_sensor=False,
    static_tau_seconds=7 * DAY_SECONDS,
    dynamic_tau_seconds=0.5 * DAY_SECONDS,
    static_term_seconds=7 * DAY_SECONDS,
    dynamic_term_seconds=0.5 * DAY_SECONDS,
    static_half_life_seconds=56 * DAY_SECONDS,
    dynamic_half_life_seconds=1 * DAY_SECONDS,
    network_hosts=5,
    network_q=1e-3,
    network_term_seconds=7 * DAY_SECONDS,
    range_hosts=None,
    range_q=0.0,
    network_watch_seconds=60 * DAY_SECONDS,
)

# Own terms: of 358 returns of spam-only addresses 5 % came after 26 days and 1 % after 88; one host in 3,556 messages
# turned to ham after spam whatever the gap; terms of 7 d and 1 d would catch a seventh less (docs/listing.md).
OWN: Final = Settings(
    profile="own",
    q=0.005,
    sensors_needed=1,
    trusts_every_sensor=True,
    static_tau_seconds=90 * DAY_SECONDS,
    dynamic_tau_seconds=60 * DAY_SECONDS,
    static_term_seconds=90 * DAY_SECONDS,
    dynamic_term_seconds=60 * DAY_SECONDS,
    static_half_life_seconds=90 * DAY_SECONDS,
    dynamic_half_life_seconds=60 * DAY_SECONDS,
    network_hosts=2,
    network_q=0.1,
    network_term_seconds=60 * DAY_SECONDS,
    range_hosts=1,
    range_q=0.02,
    network_watch_seconds=0.0,
)

PROFILES: Final = {"shared": SHARED, "own": OWN}
