"""Skeletons: what a mail engine leaves in every message it makes, whatever the message says.

`header_skeleton` is the order and case of the header names the *client* wrote, its mailer line, and the shapes of its
Message-ID and boundary.  On a real stream of 2007 the most common header order and mailer of each worm family matched
nearly all of its messages, and no other spam and no ham.  `mime_skeleton` is the tree of types, encodings and
charsets.

What hops add is left out: fields above the last `Received` (every server writes on top), and fields that servers,
lists and filters add wherever they like, by name.  A forged `Received` is on top of the client's own fields, so it does
no harm.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from whimbrel.messages import bounds
from whimbrel.messages.mime import Entity
from whimbrel.messages.parameters import parse_content_type
from whimbrel.model.facts import Header, Part

# Names that transport, delivery, lists, filters and mail programs of the reader add (the sources: RFC 5321, 2369, 2919,
# 8601, 6376, 8617; the fields of Microsoft, Google, Mailman, ezmlm, Yahoo Groups, SpamAssassin, rspamd, MailScanner,
# mutt and mbox software as they stand in 9,000 messages of 2001-2026).
_HOP_NAMES = frozenset(
    """
    received return-path delivered-to delivery-date envelope-to x-envelope-to x-envelope-from x-original-to
    apparently-to x-apparently-to x-delivered-to x-return-path old-return-path errors-to precedence sender
    x-sender-ip mailing-list x-mailing-list x-beenthere x-mailman-version x-loop x-original-date x-been-there
    x-ml-name x-egroups-return x-egroups-from x-egroups-approved-by x-yahoo-profile x-keywords x-status status
    x-uid x-uidl x-mozilla-status x-mozilla-status2 x-mozilla-keys content-length lines x-url x-stained
    x-authentication-warning x-mime-autoconverted x-originalarrivaltime x-mailscanner x-virus-scanned x-sieve
    x-antiabuse x-spam x-received x-scanned-by x-pyzor x-rcpt-to x-mail-from x-list-admin x-list-host
    x-mdaemon-deliver-to x-mdremoteip x-mdrcpt-to x-trace nntp-posting-host nntp-posting-date dkim-signature
    domainkey-signature received-spf authentication-results authentication-results-original x-eopattributedmessage
    x-eoptenantattributedmessage x-incomingheadercount x-incomingtopheadermarker x-message-delivery x-message-info
    x-sid-result x-sid-pra x-forwarded-encrypted x-forwarded-to x-forwarded-for x-gm-message-state x-gm-gg
    x-gm-features x-google-smtp-source x-google-dkim-signature x-google-original-from x-mailing-list-name
    x-delivery-agent x-clientproxiedby x-ucsc-cats-mailscanner x-spamd-result x-spamd-bar
    x-forefront-antispam-report-untrusted x-tmn feedback-id resent-from resent-to resent-date resent-message-id
    resent-sender resent-cc resent-bcc cfbl-address
    """.split()  # noqa: SIM905 - a hundred quoted strings would fill pages
)
_HOP_PREFIXES = (
    "list-",
    "arc-",
    "x-spam-",
    "x-arc-",
    "x-list-",
    "x-ms-exchange-",
    "x-ms-office365-",
    "x-microsoft-antispam",
    "x-ms-publictraffic",
    "x-ms-traffictypediagnostic",
    "x-ms-userlastlogon",
    "x-mailscanner-",
    "x-rspamd-",
    "x-bogosity",
    "x-virus-",
    "x-amavis-",
    "x-google-group",
    "x-pm-",
)
_CACHED_NAMES = 4_096
_MAILER_CHARS = 80
# A boundary's or Message-ID's shape is a key only if short; RFC 2046 allows boundaries of 70.
_SHAPE_CHARS = 72
_RUN = re.compile(r"[A-Za-z0-9]+")
# Words that software writes into every boundary and Message-ID; any other run of letters and digits may be random.
_WORDS = re.compile(
    r"NextPart|Next|Part|Boundary|Apple|Mail|Multipart|Message|Mixed|Alternative|Related|Border|Delimiter|JavaMail"
    r"|phpmailer|Exim|qmail|Outlook|Content|Separator|ABCD|MIMEStream|postmessage|SMTP",
    re.IGNORECASE,
)
_SKELETON_PARTS = 50


@lru_cache(maxsize=_CACHED_NAMES)
def _is_hop_name(name: str) -> bool:
    lower = name.lower()
    return lower in _HOP_NAMES or lower.startswith(_HOP_PREFIXES)


def client_headers(headers: tuple[Header, ...]) -> list[Header]:
    """Return the fields the client wrote: those below the last Received line that no hop adds."""
    below = 0
    for index, header in enumerate(headers):
        if header.name == "Received" or header.name.lower() == "received":
            below = index + 1
    return [header for header in headers[below:] if not _is_hop_name(header.name)]


def header_skeleton(headers: tuple[Header, ...], fields: dict[str, bytes]) -> str:
    """Return `names|mailer|Message-ID shape|boundary shape`; empty where the client wrote no field that is known."""
    names = ":".join([header.name for header in client_headers(headers)])
    if not names:
        return ""
    mailer = fields.get("x-mailer") or fields.get("user-agent") or b""
    content = fields.get("content-type", b"")
    boundary = parse_content_type(content).parameters.get("boundary", "") if b"oundary" in content else ""
    shapes = (
        mailer[: _MAILER_CHARS + 1].strip().decode("latin-1")[:_MAILER_CHARS],
        _message_id_shape(fields.get("message-id", b"")[: 4 * _SHAPE_CHARS].decode("latin-1").strip()),
        shape(boundary),
    )
    return "|".join((names[: bounds.SKELETON_CHARS], *shapes))


def _message_id_shape(value: str) -> str:
    local, at, host = value.partition("@")
    if not at:
        return shape(value)
    kind = "[" if host.startswith("[") else "host" if "." in host else "bare"
    return f"{shape(local)}@{kind}{'>' if host.endswith('>') else ''}"


def shape(text: str) -> str:
    """Return the shape of a made-up token: known words and punctuation kept, other runs as their length.

    `----=_NextPart_000_0012_01C24E1B.7A5C8D20` has the shape `----=_NextPart_3_4_8.8`.
    """
    return _RUN.sub(_run_shape, text[:_SHAPE_CHARS])


def _run_shape(match: re.Match[str]) -> str:
    run = match[0]
    return run if run.isalpha() and _WORDS.fullmatch(run) else str(len(run))


def mime_skeleton(entities: Iterable[Entity], parts: list[Part]) -> str:
    """Return the tree in pre-order: one `depth type;encoding;charset` a part, joined by blanks."""
    pieces = [
        f"{entity.depth}{part.content_type};{part.encoding};{part.charset}"
        for entity, part in zip(entities, parts[:_SKELETON_PARTS], strict=False)
    ]
    return " ".join(pieces)[: bounds.SKELETON_CHARS]
