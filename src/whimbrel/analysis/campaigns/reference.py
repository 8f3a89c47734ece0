"""Campaigns as defined: clear, whole, and slow.  `index.py` must give the same rows (tests/analysis)."""

from collections import defaultdict
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from whimbrel.analysis.campaigns.hubs import is_hub
from whimbrel.analysis.campaigns.joining import joins
from whimbrel.analysis.campaigns.keys import BASES, Kind
from whimbrel.analysis.campaigns.naming import campaign_name
from whimbrel.model.columns import MEMBERSHIP

_Row = dict[str, Any]


def cluster_all(facts: pa.Table) -> pa.Table:
    """Return the membership of all `facts`: one row a message that shares a joining key, in (seen_at, id) order."""
    rows = {row["message_id"]: row for row in facts.to_pylist()}
    ordered = sorted(rows.values(), key=_canonical)
    holders: defaultdict[tuple[Kind, Any], list[int]] = defaultdict(list)
    for number, row in enumerate(ordered):
        for key in keys_of(row):
            holders[key].append(number)
    joined = {key: numbers for key, numbers in holders.items() if _joins([ordered[n] for n in numbers])}
    root = list(range(len(ordered)))
    basis: dict[int, Kind] = {}
    for (kind, _), numbers in joined.items():
        for number in numbers:
            _unite(root, numbers[0], number)
            basis[number] = min(kind, basis.get(number, kind))
    members = [
        {
            "message_id": ordered[number]["message_id"],
            "seen_at": ordered[number]["seen_at"],
            "campaign": campaign_name(ordered[_find(root, number)]["message_id"]),
            "basis": BASES[basis[number]],
        }
        for number in sorted(basis)
    ]
    return pa.Table.from_pylist(members, schema=MEMBERSHIP)


def keys_of(row: _Row) -> set[tuple[Kind, Any]]:
    """Return the keys of one message, hubs left out."""
    attachments = {(Kind.ATTACHMENT, digest) for digest in row["attachment_sha256s"] or ()}
    texts = {(Kind.TEXT, pair) for pair in combinations(row["signature"] or (), 2)}
    urls = {(Kind.URL, domain) for domain in row["url_domains"] or () if not is_hub(domain)}
    return attachments | texts | urls


def _canonical(row: _Row) -> tuple[bool, Any, bytes]:
    undated = row["seen_at"] is None
    return undated, 0 if undated else row["seen_at"], row["message_id"]


def _joins(rows: list[_Row]) -> bool:
    ham = sum(row["label"] == "ham" for row in rows)
    shapes = len({(row["header_skeleton"], row["mime_skeleton"]) for row in rows})
    texts = len({row["signature"][0] if row["signature"] else 0 for row in rows})
    return bool(joins(*(np.array([number]) for number in (len(rows), ham, shapes, texts)))[0])


def _find(root: list[int], number: int) -> int:
    while root[number] != number:
        root[number] = root[root[number]]
        number = root[number]
    return number


def _unite(root: list[int], one: int, other: int) -> None:
    earlier, later = sorted((_find(root, one), _find(root, other)))
    root[later] = earlier
