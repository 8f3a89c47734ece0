"""A reading: what is kept of one message once it has been read, before anyone has judged who sent it.

It crosses from the pool's worker processes to the parent, waits in staging until every path of a run has been read,
and becomes one row of `facts` and (where a connecting client is known) one observation.  It holds no text of
the message.  `recipients` are in clear only on the way: `evidence` hashes them with the store's key as it stages them.
"""

from datetime import datetime
from typing import Final

import msgspec

# Forms of a `Hop` that is no connection from a client.
LOCAL: Final = "local"  # a hand-over on one machine or inside one server: nobody connected
FETCHMAIL: Final = "fetchmail"  # we connected to them: `rdns` names the mailbox that was emptied


class Hop(msgspec.Struct, frozen=True, array_like=True):
    """One `Received` line: who handed the message to whom, by the receiving server's own account.

    `address` is the peer of the TCP connection where the line tells it (canonical text), `helo` what the peer said
    its name was, `rdns` the name the server looked up, `by` the receiving server, `at` its UTC time, `form` the
    mail server whose shape the line has, `trace_sha256` the digest of the whole line (for the observation's id).
    `rdns_confirmed` tells that the server looked the name up and found this address again; `for_domain` is the domain
    of the recipient that the line names.  A hop without `address` (local submission, fetchmail, a list's internal
    hand-over) is not a connection.
    """

    address: str | None
    helo: str | None
    rdns: str | None
    by: str | None
    by_address: str | None
    protocol: str | None
    at: datetime | None
    form: str
    trace_sha256: bytes
    rdns_confirmed: bool = False
    for_domain: str | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One message as kept: where it was found, what it is labelled, its route, and its fingerprints."""

    location: str
    label: str
    label_basis: str | None
    size_bytes: int
    content_sha256: bytes
    envelope_at: datetime | None
    hops: tuple[Hop, ...]
    url_domains: tuple[str, ...]
    attachment_sha256s: tuple[str, ...]
    attachment_types: tuple[str, ...]
    recipient_domains: tuple[str, ...]
    recipients: tuple[str, ...]
    header_skeleton: str
    mime_skeleton: str
    signature: tuple[int, ...]
    script: str
    defects: tuple[str, ...]
