"""A plain reading of the definitions of units.py, tables.py and outside.py, and small observations to try it on."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from tests.analysis.links.tiny import MONDAY, Row, observations_of

from whimbrel.analysis.links import Settings
from whimbrel.analysis.links.growing import tabulated
from whimbrel.analysis.links.outside import Outside
from whimbrel.analysis.links.units import last_closed, window_of
from whimbrel.lookups.leases import LEASES
from whimbrel.lookups.ranges import NETWORKS

SETTINGS = Settings(lease_gap_windows=2, least_senders=2, horizon_windows=2, grace_hours=24)
NOW = MONDAY + timedelta(weeks=9)


START = int(MONDAY.timestamp())
DAY = 86_400


def leases_of(*told: tuple[str, int, int, str | None]) -> pa.Table:
    """Return leases given as host, first day, day after the last, and holder."""
    rows = [(host, START + since * DAY, START + until * DAY, holder) for host, since, until, holder in told]
    return pa.Table.from_pylist([dict(zip(LEASES.names, row, strict=True)) for row in rows], schema=LEASES)


def networks_of(*known: tuple[str, int | None, str | None]) -> pa.Table:
    """Return networks of hosts given as host, AS and prefix."""
    return pa.Table.from_pylist([dict(zip(NETWORKS.names, row, strict=True)) for row in known], schema=NETWORKS)


NOTHING = Outside()


def cells(rows: list[Row], outside: Outside = NOTHING) -> set[tuple[Any, ...]]:
    """Return the cells of all windows, by the expressions themselves."""
    with tabulated(observations_of(rows), SETTINGS, NOW, outside=outside) as found:
        whole = pa.concat_tables([cells for _, cells in found.windows()] or [pa.table({})])
    return {tuple(row.values()) for row in whole.to_pylist()}


class Plain:
    """The definitions of units.py, tables.py and outside.py, read literally; rows' `host` is whoever holds it."""

    def __init__(self, rows: list[Row], outside: Outside = NOTHING) -> None:
        self.networks = {row["host"]: row for row in (outside.networks or pa.table({})).to_pylist()}
        self.table_first = outside.table_first
        self.leases = [] if outside.leases is None else outside.leases.to_pylist()
        self.told: set[str] = set()
        self.ends: dict[str, int] = {}  # the last window of each holder
        self.rows = [self._held(self._dated(row)) for row in rows]
        self.last = last_closed(NOW, SETTINGS)
        self.rows = [row for row in self.rows if row["learned_at"] <= NOW and row["window"] <= self.last]
        self.seen: defaultdict[str, list[int]] = defaultdict(list)
        for host, window in sorted({(row["host"], row["window"]) for row in self.rows}):
            self.seen[host].append(window)
        for row in self.rows:
            row["unit"] = (row["host"], self._lease(row["host"], row["window"]))
        self._infect()
        self._send()

    @staticmethod
    def _dated(row: Row) -> Row:
        learned_at = row.get("learned_at", row["seen_at"])
        seen = window_of(row["seen_at"])
        learned = window_of(max(learned_at, row["seen_at"]) - timedelta(hours=SETTINGS.grace_hours))
        blank = dict.fromkeys(("family", "campaign", "method", "label_basis", "campaign_basis", "asn", "prefix"))
        return blank | row | {"learned_at": learned_at, "window": max(seen, learned), "in_time": learned <= seen}

    def _held(self, row: Row) -> Row:
        at = int(row["seen_at"].timestamp())
        own = sorted((one for one in self.leases if one["host"] == row["host"]), key=lambda one: one["since_s"])
        lease = next((one for one in own if one["since_s"] <= at < one["until_s"]), None)
        if lease is None:
            later = [one["since_s"] for one in own if one["since_s"] > at]
            holder = f"{row['host']}, {len(later)} before the last"
            if later:
                self.ends[holder] = _window(later[0] - 1)
            return row | {"address": row["host"], "host": holder}
        holder = lease["holder"] or f"{row['host']} {lease['since_s']}"
        same = [one for one in self.leases if one is lease or one["holder"] == holder]
        self.told.add(holder)
        self.ends[holder] = _window(max(one["until_s"] for one in same) - 1)
        return row | {"address": row["host"], "host": holder}

    def _lease(self, host: str, window: int) -> int:
        if host in self.told:
            return self.seen[host][0]
        start = before = None
        for one in self.seen[host]:
            if before is None or one - before > SETTINGS.lease_gap_windows:
                start = one
            if one == window:
                break
            before = one
        assert start is not None
        return start

    def _infect(self) -> None:
        labels = defaultdict(list)
        for row in self.rows:
            method = row["method"] or ("payload" if row["kind"] == "message" else None)
            if row["family"] and row["kind"] in {"infection", "message"} and "list" not in {method, row["label_basis"]}:
                second = int(row["seen_at"].timestamp())
                labels[row["unit"]].append((row["window"], second, row["sensor"], method or "~", row["family"]))
        self.infected = {}
        for unit, found in labels.items():
            window, _, sensor, method, family = min(found)
            others = [one[0] for one in found if one[4] != family]
            self.infected[unit] = (family, window, sensor, method, min(others) if others else None)

    def _send(self) -> None:
        sent = defaultdict(list)
        self.payload: dict[str, int] = {}
        self.attached: dict[str, int] = {}
        for row in self.rows:
            campaign = row["campaign"]
            if campaign and not row["family"] and row["kind"] != "infection":
                sent[row["unit"], campaign].append((row["window"], not row["in_time"]))
            if campaign and row["family"]:
                self.payload[campaign] = min(row["window"], self.payload.get(campaign, row["window"]))
            if campaign and row["campaign_basis"] == "attachment":
                self.attached[campaign] = min(row["window"], self.attached.get(campaign, row["window"]))
        self.firsts = {key: min(found) for key, found in sent.items()}
        senders = defaultdict(list)
        for (_, campaign), (window, _) in sorted(self.firsts.items()):
            senders[campaign].append(window)
        enough = SETTINGS.least_senders
        self.followed = {c: sorted(ws)[enough - 1] for c, ws in senders.items() if len(ws) >= enough}

    def _place(self, unit: tuple[str, int]) -> tuple[str, str]:
        rows = [row for row in self.rows if row["unit"] == unit and row["window"] == unit[1]]
        address = min(row["address"] for row in rows)
        said = [min((row[name] for row in rows if row[name] is not None), default=None) for name in ("asn", "prefix")]
        known = self.networks.get(address)
        if known is not None:
            told = [known["asn"], known["prefix"]]
            filled = [one if one is not None else other for one, other in zip(said, told, strict=True)]
            said = told if self.table_first else filled
        network = said[1] or address.rpartition(".")[0] + ".0/24"
        return min(row["sensor"] for row in rows), network if said[0] is None else f"AS{said[0]}"

    def _volume(self, host: str, window: int) -> int:
        plain = [
            row.get("count", 1)
            for row in self.rows
            if row["host"] == host
            and row["window"] == window
            and row["kind"] == "connection"
            and not row["campaign"]
            and not row["family"]
        ]
        return min(int(sum(plain)).bit_length(), 12)

    def cells(self) -> set[tuple[Any, ...]]:
        """Return the cells of all windows."""
        found = self._ordered()
        for arm in ("sending", "co-location"):
            at_risk, sent = Counter[Any](), Counter[Any]()
            for unit in {row["unit"] for row in self.rows}:
                for window in range(unit[1] + 1, self.last + 1):
                    stratum = self._stratum(arm, unit, window)
                    if stratum is not None:
                        self._count(unit, window, stratum, at_risk, sent)
            usable = {
                (campaign, stratum) for campaign, stratum, _ in sent if self._usable(campaign, stratum[0], stratum[2])
            }
            found |= {
                (arm, campaign, *stratum, family, count, sent[campaign, stratum, family])
                for (campaign, stratum, family), count in at_risk.items()
                if (campaign, stratum) in usable and count
            }
        return found

    def _count(self, unit: Any, window: int, stratum: Any, at_risk: Counter[Any], sent: Counter[Any]) -> None:
        *parts, family = stratum
        for campaign in self.followed:
            first, late = self.firsts.get((unit, campaign), (self.last + 1, False))
            if first < window or (first == window and late):
                continue
            at_risk[campaign, tuple(parts), family] += 1
            if first == window:
                sent[campaign, tuple(parts), family] += 1

    def _stratum(self, arm: str, unit: tuple[str, int], window: int) -> tuple[Any, ...] | None:
        lease = [w for w in self.seen[unit[0]] if self._lease(unit[0], w) == unit[1]]
        before = [w for w in lease if w < window]
        newer = [w for w in self.seen[unit[0]] if w < window and w not in lease and w > unit[1]]
        silent = unit[0] not in self.told and bool(before) and window - before[-1] > SETTINGS.lease_gap_windows
        if not before or silent or newer or window > self.ends.get(unit[0], window):
            return None
        family, infected, sensor, method, second = self.infected.get(unit, ("", self.last, "", "~", None))
        first_sensor, network = self._place(unit)
        volume = self._volume(unit[0], window - 1)
        if arm == "co-location":
            return window, first_sensor, "", network, volume, family if infected < window else ""
        single = second is None or second >= window
        return (
            (window, sensor, method, network, volume, family)
            if infected < window and single and method != "~"
            else None
        )

    def _ordered(self) -> set[tuple[Any, ...]]:
        at_risk, sent = Counter[Any](), Counter[Any]()
        for (unit, campaign), (first, late) in self.firsts.items():
            family, infected, sensor, method, second = self.infected.get(unit, ("", 0, "", "~", None))
            lag, closes = first - infected, infected + SETTINGS.horizon_windows
            if method == "~" or not 1 <= abs(lag) <= SETTINGS.horizon_windows or (late and lag > 0):
                continue
            if unit[1] > infected - SETTINGS.horizon_windows or (second is not None and second <= infected):
                continue
            if self.ends.get(unit[0], closes) < closes:
                continue
            if campaign in self.followed and self._usable(campaign, closes, method) and closes <= self.last:
                key = ("time", campaign, closes, sensor, method, "", 0, family)
                at_risk[key] += 1
                sent[key] += lag > 0
        return {(*key, count, sent[key]) for key, count in at_risk.items()}

    def _usable(self, campaign: str, window: int, method: str) -> bool:
        shares = method == "payload" and self.attached.get(campaign, window + 1) <= window
        return self.followed[campaign] <= window < self.payload.get(campaign, window + 1) and not shares


def _window(seconds: int) -> int:
    return window_of(datetime.fromtimestamp(seconds, UTC))


_SENT = {"kind": st.just("message"), "campaign": st.sampled_from(["C1", "C2"])}
_ANY = {
    "seen_at": st.integers(0, 60).map(lambda day: MONDAY + timedelta(days=day, hours=5)),
    "sensor": st.sampled_from(["s1", "s2"]),
    "host": st.sampled_from([f"10.0.{n // 4}.{n}" for n in range(8)]),
    "asn": st.sampled_from([None, 7]),
}
ROWS = st.one_of(
    st.fixed_dictionaries(_ANY | {"kind": st.just("connection"), "count": st.integers(1, 9)}),
    st.fixed_dictionaries(_ANY | _SENT | {"campaign_basis": st.sampled_from(["url", "url", "url", "attachment"])}),
    st.fixed_dictionaries(_ANY | _SENT),
    st.fixed_dictionaries(_ANY | _SENT | {"delay_days": st.integers(0, 20)}),
    st.fixed_dictionaries(
        _ANY
        | {
            "kind": st.just("infection"),
            "family": st.sampled_from(["W", "F", "G"]),
            "method": st.sampled_from(["sinkhole", "payload", "list", None]),
        }
    ),
    st.fixed_dictionaries(
        _ANY | {"kind": st.just("message"), "family": st.just("W"), "label_basis": st.just("filter")}
    ),
)


def delayed(row: Row) -> Row:
    """Return the row with its delay as the time at which it was learned."""
    days = row.pop("delay_days", None)
    return row if days is None else row | {"learned_at": row["seen_at"] + timedelta(days=days)}


def world_rows() -> list[Row]:
    """Return a small fixed world with something in every arm."""
    rows: list[Row] = []
    for n in range(40):
        host = f"10.0.{n % 3}.{n}"
        rows += [
            {"seen_at": MONDAY + timedelta(weeks=week, hours=n), "sensor": "s1", "host": host, "kind": "connection"}
            for week in range(7)
        ]
        infected = MONDAY + timedelta(weeks=2, hours=n)
        rows.append(rows[-1] | {"seen_at": infected, "kind": "infection", "family": "WFG"[n % 3], "method": "sinkhole"})
        if n % 2:
            sent = MONDAY + timedelta(weeks=1 + n % 4, hours=2 * n)
            rows.append(rows[-2] | {"seen_at": sent, "kind": "message", "campaign": "C1"})
    return rows
