"""What the link test is told: thresholds, the unit's lease, and the stated ranges of what cannot be seen."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers of the link test, each with its source; a state made under others is refused."""

    alpha: float = 0.05  # a link is said at e >= 1/alpha; over many pairs, alpha is the false discovery rate of e-BH
    theta0: float = 1.25  # odds ratios up to here are what residual confounding makes: "not linked"
    strong_gamma: float = 2.0  # strong words need evidence against hidden bias of this size
    # A lease is not observed: it is taken to end when a host stays silent for this many whole windows (weeks).  Medians
    # of address durations are days to weeks (Padmanabhan et al., IMC 2016): longer would join different machines.
    lease_gap_windows: int = 4
    grace_hours: int = 24  # an observation learned this long after its window's end still counts in its window
    least_senders: int = 5  # a campaign is followed from the window in which it has had so many sending units
    horizon_windows: int = 4  # arm B: how long before and after the infection a first sending is put in order
    time_weight: float = 0.1  # share of arm B in the evidence of claim L2; costs arm A log(1/0.9) = 0.1 nats
    # The veto by negative controls (Gruber & Tchetgen Tchetgen), and from how many control families it is trusted.
    veto_level: float = 0.05
    least_controls: int = 15
    # "Evidence against": a ratio of `against_ratio` must be excluded even if so many of the units labelled with the
    # family had lost the host (churn) or never had the family (mislabelled).
    against_ratio: float = 1.5
    most_churn: float = 0.5
    most_mislabelled: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no sense, naming the field."""
        shares = ("alpha", "time_weight", "veto_level", "most_churn", "most_mislabelled")
        for name in shares:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1")
        if self.alpha == 0 or self.veto_level == 0:
            raise ValueError("alpha and veto_level must be above 0")
        if self.theta0 < 1 or self.against_ratio <= 1:
            raise ValueError("theta0 must be at least 1, and against_ratio above 1")
        for name in ("lease_gap_windows", "least_senders", "horizon_windows", "least_controls"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.grace_hours < 0:
            raise ValueError("grace_hours must not be negative")

    @property
    def against_limit(self) -> float:
        """Return the odds ratio that a true ratio of `against_ratio` would at least show.

        Where only a share q of the units labelled W still has W, the rest sends like its controls, and the ratio seen
        is q * OR + (1 - q) for rare events: OR 3 with 80 % churn is seen as 1.4.
        """
        kept = (1 - self.most_churn) * (1 - self.most_mislabelled)
        return 1 + kept * (self.against_ratio - 1)
