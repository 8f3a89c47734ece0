"""The Arrow schemas of what is stored and passed between stages; column meanings are those of the value types.

`SCHEMA_VERSION` changes whenever a stored column does; a store of another version is refused, or migrated by name.
"""

import pyarrow as pa

SCHEMA_VERSION = 2

INSTANT = pa.timestamp("us", tz="UTC")

# One row an observation (model.observation.Observation), plus what the store adds: its id; where a sensor's trust grew,
# the id of the observation that this one corrects (`supersedes`); the message it was made from (a row of `FACTS`), and
# whether its Received lines show that the host took it from a stranger (`passed_on`; null where nobody has looked).
OBSERVATIONS = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("seen_at", INSTANT, nullable=False),
        pa.field("learned_at", INSTANT, nullable=False),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("label_basis", pa.string()),
        pa.field("campaign", pa.string()),
        pa.field("campaign_basis", pa.string()),
        pa.field("family", pa.string()),
        pa.field("method", pa.string()),
        pa.field("dialect", pa.string()),
        pa.field("received_below", pa.int32()),
        pa.field("helo", pa.string()),
        pa.field("rdns", pa.string()),
        pa.field("asn", pa.int64()),
        pa.field("prefix", pa.string()),
        pa.field("recipient_domains", pa.list_(pa.string())),
        pa.field("bytes", pa.int64()),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("ref", pa.string()),
        pa.field("message_id", pa.binary(16)),
        pa.field("supersedes", pa.binary(16)),
        pa.field("passed_on", pa.bool_()),
    ]
)

# One row a message as read (model.reading.Reading).  `message_id` is a digest of sensor, first trace line and content
# (not the Message-ID header); `seen_at` is null where no line of ours and no envelope line dates the message.
FACTS = pa.schema(
    [
        pa.field("message_id", pa.binary(16), nullable=False),
        pa.field("seen_at", INSTANT),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("label_basis", pa.string()),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("content_sha256", pa.binary(32), nullable=False),
        pa.field("hops", pa.binary(), nullable=False),  # msgpack of tuple[Hop, ...]
        pa.field("url_domains", pa.list_(pa.string())),
        pa.field("attachment_sha256s", pa.list_(pa.string())),
        pa.field("attachment_types", pa.list_(pa.string())),
        pa.field("recipient_domains", pa.list_(pa.string())),
        pa.field("recipients", pa.list_(pa.binary(16))),  # keyed hashes
        pa.field("recipient_key_id", pa.string()),
        pa.field("header_skeleton", pa.string()),
        pa.field("mime_skeleton", pa.string()),
        pa.field("signature", pa.list_(pa.uint64())),
        pa.field("script", pa.string()),
        pa.field("defects", pa.list_(pa.string())),
    ]
)

# What campaigns are made of: one row a message that is in one (`analysis.campaigns`); `seen_at` as in `FACTS`.
MEMBERSHIP = pa.schema(
    [
        pa.field("message_id", pa.binary(16), nullable=False),
        pa.field("seen_at", INSTANT),
        pa.field("campaign", pa.string(), nullable=False),
        pa.field("basis", pa.string(), nullable=False),
    ]
)
