"""The columns of the small tables that come out of the relational part (`tables.py`, which says what they mean)."""

import pyarrow as pa

# What is read of an observation (`model.columns.OBSERVATIONS`), besides its times.
READ = (
    "sensor",
    "host",
    "kind",
    "label_basis",
    "campaign",
    "campaign_basis",
    "family",
    "method",
    "asn",
    "prefix",
    "count",
)
ARMS = ("sending", "time", "co-location")
STRATUM = ("window", "sensor", "method", "network", "volume")
CELL = ("arm", "campaign", *STRATUM, "family", "at_risk", "sent")


CELLS = pa.schema(
    [pa.field(name, pa.int64() if name in {"window", "volume", "at_risk", "sent"} else pa.string()) for name in CELL]
)
CAMPAIGNS = pa.schema(
    [
        pa.field("campaign", pa.string()),
        *(
            pa.field(name, pa.int64())
            for name in ("followed_from", "last_sent", "senders", "payload_from", "attachment_from")
        ),
    ]
)
FAMILIES = pa.schema(
    [
        pa.field("family", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("units", pa.int64()),
        pa.field("without_method", pa.int64()),
        pa.field("infected_from", pa.int64()),
    ]
)

CLAIMS = ("L1", "L2", "L3", "L4")

# What is said of each pair and claim.  `gamma` is 0 where not even an odds ratio of 1 is refuted; ratios are null where
# no table is informative.
VERDICTS = pa.schema(
    [
        pa.field("family", pa.string(), nullable=False),
        pa.field("campaign", pa.string(), nullable=False),
        pa.field("claim", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("words", pa.string(), nullable=False),
        pa.field("probability", pa.float64()),
        pa.field("odds_ratio", pa.float64()),
        pa.field("odds_ratio_low", pa.float64()),
        pa.field("odds_ratio_high", pa.float64()),
        pa.field("e_value", pa.float64()),
        pa.field("gamma", pa.float64()),
        pa.field("units", pa.int64(), nullable=False),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
    ]
)
