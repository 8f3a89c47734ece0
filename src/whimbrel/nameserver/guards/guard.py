"""All guards in their order, around the pure `answer`: who may ask, whose quota, the answer, its limit, its cookie.

1. The access list: who is denied is REFUSED.
2. The key in the name: over its quota, unknown, or missing where one is needed, is an error, never "listed".
3. The answer.
4. Its limit, over UDP: not for exempt networks, and not for who has proved his address with a cookie.  Who has shown a
   cookie that proves nothing gets BADCOOKIE instead of an empty answer (RFC 7873, section 5.2.3): next time it does.
5. The cookie, and the counts.

TCP proves an address by itself, so it is not limited, only counted.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from whimbrel.errors import ConfigError
from whimbrel.nameserver.answer import answer
from whimbrel.nameserver.guards import cookies, subscription
from whimbrel.nameserver.guards.access import Access, Network, access_list, access_of, networks
from whimbrel.nameserver.guards.client import Client
from whimbrel.nameserver.guards.cookies import Cookie
from whimbrel.nameserver.guards.counts import Count, Counts, count_answer, fade, note
from whimbrel.nameserver.guards.known import read_known
from whimbrel.nameserver.guards.learned import Learned
from whimbrel.nameserver.guards.limits import Kind, Verdict, judge, limits_of
from whimbrel.nameserver.guards.quota import Failure, Quotas, begin_day, quotas_of, read_quotas
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.wire import dns
from whimbrel.wire.dns import Query, Rcode
from whimbrel.wire.snapshot import Snapshot

_COOKIE_CODE = dns.COOKIE_OPTION.to_bytes(2, "big")
# RFC 7873, section 7.1, asks for a new secret at least every 36 days; the one before stays good meanwhile.
_SECRET_SECONDS = 86_400
# A sketch is of the last half minute or so: long enough for a rate, short enough for a terminal.
_FADE_SECONDS = 10

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int]


class Guard:
    """All state of the guards; raises ConfigError where the settings are no good."""

    def __init__(self, settings: GuardSettings, counts: Counts) -> None:
        self.counts = counts
        self.limits = limits_of(settings.rate, settings.slip)
        self.accesses = access_list(*map(networks, (settings.allow, settings.deny, settings.exempt, settings.public)))
        self._access = lru_cache(maxsize=4096)(lambda client: access_of(self.accesses, client))
        self._settings = settings
        self._stamps: dict[Path, _Stamp | None] = {}
        self._tended = 0
        self.quotas: Quotas = quotas_of([])
        self.secrets = cookies.secrets_of([cookies.random_secret()])
        if settings.subscribers is not None:
            self._is_new(settings.subscribers)
            self.quotas = read_quotas(settings.subscribers)
        if settings.cookie_secrets is not None:
            self._is_new(settings.cookie_secrets)
            self.secrets = cookies.read_secrets(settings.cookie_secrets)
        self._named: Sequence[Network] = ()
        if settings.known is not None:
            self._is_new(settings.known)
            self._named = read_known(settings.known)
        self._learned = None if settings.learned is None else Learned(settings.learned)
        self._lost = 0
        self.known: Sequence[Network] = self._all_known()  # those answered first, the most important first

    def respond(
        self, packet: bytes, client: Client, snapshot: Snapshot, now: float, now_ms: int, *, tcp: bool
    ) -> bytes | None:
        """Return the response to a packet, or None where none is sent.

        `now` is seconds since 1970; `now_ms` is of a clock that only rises.
        """
        self.counts.totals[Count.TCP if tcp else Count.UDP] += 1
        if not tcp:
            note(self.counts.clients, self.counts.asked, client.prefix)
        access = self._access(client)
        query = self._read(packet, access)
        response = self._answered(query, packet, access, snapshot, now, tcp=tcp)
        if response is None:
            self.counts.totals[Count.UNANSWERED] += 1
            return None
        cookie = self._cookie(query, client, now)
        if not tcp and not access & Access.EXEMPT and not (cookie is not None and cookie.is_proved):
            response = self._limited(response, packet, client, now_ms, has_cookie=cookie is not None)
            if response is None:
                return None
        question = 0 if len(response) <= dns.HEADER.size else _question_bytes(response)
        count_answer(self.counts, response, question)
        if query is not None and cookie is not None:
            return dns.add_cookie(query, response, cookie.data, tcp=tcp)
        return response

    def _read(self, packet: bytes, access: Access) -> Query | None:
        """Return the query, where a guard has to look into it."""
        if not (access & ~Access.EXEMPT or len(self.quotas.ids) or _COOKIE_CODE in packet):
            return None
        query = dns.parse_query(packet)
        return query if isinstance(query, Query) else None

    def _answered(
        self, query: Query | None, packet: bytes, access: Access, snapshot: Snapshot, now: float, *, tcp: bool
    ) -> bytes | None:
        if query is None:
            return answer(packet, snapshot, now, tcp=tcp)
        if access & Access.DENIED:
            self.counts.totals[Count.DENIED] += 1
            return dns.write_response(query, Rcode.REFUSED, authoritative=False, tcp=tcp)
        found = None
        if len(self.quotas.ids) or access & Access.PUBLIC:
            public = bool(access & Access.PUBLIC)
            found = subscription.looked_at(query, snapshot, self.quotas, now, public=public)
        if isinstance(found, Failure):
            return subscription.failed(query, found, tcp=tcp)
        if found is None:
            return answer(packet, snapshot, now, tcp=tcp)
        response = answer(found.packet, snapshot, now, tcp=tcp)
        assert response is not None  # it is a query, we wrote it
        return dns.put_question(query, response, found.question_bytes, tcp=tcp)

    def _cookie(self, query: Query | None, client: Client, now: float) -> Cookie | None:
        if query is None or query.edns is None or not query.edns.cookie:
            return None
        cookie = cookies.judged(query.edns.cookie, client, int(now), self.secrets)
        self.counts.totals[Count.PROVED if cookie.is_proved else Count.UNPROVED] += 1
        return cookie

    def _limited(
        self, response: bytes, packet: bytes, client: Client, now_ms: int, *, has_cookie: bool
    ) -> bytes | None:
        """Return what of an answer is sent to a client who has not proved his address."""
        verdict = judge(self.limits, client.prefix, kind_of(response), now_ms)
        if verdict == Verdict.SEND:
            return response
        note(self.counts.limited, self.counts.withheld, client.prefix)
        self.counts.totals[Count.SLIPPED if verdict == Verdict.SLIP else Count.LIMITED] += 1
        if verdict == Verdict.DROP:
            return None
        query = dns.parse_query(packet)
        if not isinstance(query, Query):
            return response  # a header alone
        if has_cookie:
            return dns.write_response(query, Rcode.BADCOOKIE, authoritative=False, tcp=False)
        return dns.truncate(query, response)

    # Once a second

    def tend(self, now: float) -> None:
        """Read files again that have changed, begin a new day, let the sketches fade."""
        self._reread(self._settings.subscribers, self._take_quotas)
        self._reread(self._settings.cookie_secrets, self._take_secrets)
        self._reread(self._settings.known, self._take_known)
        begin_day(self.quotas, int(now) // subscription.SECONDS_A_DAY)
        last, self._tended = self._tended, int(now)
        if not last:
            return
        if self._settings.cookie_secrets is None and last // _SECRET_SECONDS != self._tended // _SECRET_SECONDS:
            ours = [cookies.random_secret(), cookies.secret_bytes(self.secrets, 0)]
            self.secrets = cookies.secrets_of(ours)
        if last // _FADE_SECONDS != self._tended // _FADE_SECONDS:
            self._learn(now)
            fade(self.counts.asked)
            fade(self.counts.withheld)

    def _take_quotas(self, path: Path) -> None:
        self.quotas = read_quotas(path, self.quotas)

    def _take_secrets(self, path: Path) -> None:
        self.secrets = cookies.read_secrets(path)

    def _take_known(self, path: Path) -> None:
        self._named = read_known(path)
        self.known = self._all_known()

    def _all_known(self) -> Sequence[Network]:
        return (*self._named, *(() if self._learned is None else self._learned.networks))

    def _learn(self, now: float) -> None:
        """Note who asks, where networks are learned."""
        if self._learned is None:
            return
        lost = self.counts.totals.item(Count.OVERFLOW) + self.counts.totals.item(Count.OVERFLOW_KNOWN)
        asking = self.counts.clients[self.counts.asked > 0].tolist()
        before = self._learned.networks
        self._learned.look(asking, now, is_flooded=lost != self._lost)
        self._lost = lost
        if self._learned.networks != before:
            self.known = self._all_known()

    def save(self) -> None:
        """Keep what was learned, for the next start."""
        if self._learned is not None:
            self._learned.save()

    def _reread(self, path: Path | None, take: Callable[[Path], None]) -> None:
        if path is None or not self._is_new(path):
            return
        try:
            take(path)
            _log.info("%s read again", path)
        except ConfigError as error:
            _log.warning("%s; what it said before stays in force", error)

    def _is_new(self, path: Path) -> bool:
        """Tell whether a file is another one than last seen."""
        try:
            stat = path.stat()
            stamp: _Stamp | None = (stat.st_ino, stat.st_mtime_ns)
        except OSError:
            stamp = None
        is_new = path not in self._stamps or self._stamps[path] != stamp
        self._stamps[path] = stamp
        return is_new


def kind_of(response: bytes) -> Kind:
    """Return the class of an answer."""
    if response[3] & 0xF not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return Kind.ERROR
    return Kind.POSITIVE if response[6] or response[7] else Kind.NEGATIVE


def _question_bytes(response: bytes) -> int:
    """Return the length of a response's question, whose name is never compressed."""
    at = dns.HEADER.size
    while response[at]:
        at += response[at] + 1
    return at + 5 - dns.HEADER.size
