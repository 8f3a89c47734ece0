"""What a campaign is called: after one of its members, so that a name outlives every merge and split.

The name is `C` and the first 16 hex digits of a member's message id; the *current* name is that of the earliest member,
in (seen_at, message id) order, undated messages last.  Campaigns that merge keep answering to both names, since both
name a member: no table of aliases is kept, and none can be out of date.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

NAME_HEX_DIGITS = 16  # 64 bits: by the birthday bound, two of a million messages share a name with probability 3e-8
_NAME = re.compile(r"C[0-9a-f]{16}")


def campaign_name(message_id: bytes) -> str:
    """Return the name that a message gives to the campaign which holds it."""
    return "C" + message_id.hex()[:NAME_HEX_DIGITS]


def resolve(name: str, membership: pa.Table) -> str | None:
    """Return the current name of the campaign that `name` means, or None where it means none.

    `name` may be made from any member; `membership` has the columns of `model.columns.MEMBERSHIP`.
    """
    if _NAME.fullmatch(name) is None:
        return None
    if pc.any(pc.equal(membership["campaign"], name)).as_py():
        return name
    wanted = bytes.fromhex(name[1:])
    prefixes = pc.binary_slice(pc.cast(membership["message_id"], pa.binary()), 0, len(wanted))
    found = membership.filter(pc.equal(prefixes, pa.scalar(wanted, pa.binary())))
    if found.num_rows == 0:
        return None
    current: str = pc.min(found["campaign"]).as_py()
    return current
