"""Erasing what names one person: rows that are of a host go, words of others that name it go blank, a recipient's keyed
hash leaves the lists it stands in.

Files are written anew and swapped within the caller's transaction; the old ones are deleted by `bury`, at once and not
after the grace, for that is the point.  Ids of erased rows stay known (they are digests), so that reading the same mail
again does not bring them back.
"""

import re
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.evidence.compaction import swap
from whimbrel.evidence.files import read_parquet, storing
from whimbrel.evidence.layout import STORED, day_numbered, day_numbers
from whimbrel.evidence.manifest import Manifest
from whimbrel.evidence.staging import decode_hops
from whimbrel.model.address import host_of, parse_address
from whimbrel.model.reading import Hop

# What an observation of another host may quote: names that its peer gave, and texts of whoever observed.
_QUOTING = ("helo", "rdns", "ref", "prefix", "campaign", "family")

_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
_TAG = re.compile(r"ipv6:", re.IGNORECASE)  # RFC 5321, section 4.1.3

Names = Callable[[str | None], bool]


class Erased(NamedTuple):
    """How many rows went or were changed, and on which days."""

    observations: int
    facts: int
    days: frozenset[date]


def naming(host: str) -> Names:
    """Return the test whether a text names a host: an IPv4 address, or any address of an IPv6 /64."""
    if ":" not in host:
        pattern = re.compile(rf"(?<![0-9])(?<![0-9]\.){re.escape(host)}(?!\.?[0-9])")
        return lambda text: text is not None and host in text and pattern.search(text) is not None

    def names(text: str | None) -> bool:
        if text is None or ":" not in text:
            return False
        found = (parse_address(each) for each in _IPV6.findall(_TAG.sub(" ", text)))
        return any(address is not None and host_of(address) == host for address in found)

    return names


def hops_name(hops: Collection[Hop], names: Names) -> bool:
    """Tell whether any text of a message's route names a host."""
    return any(names(text) for hop in hops for text in (hop.address, hop.helo, hop.rdns, hop.by, hop.by_address))


def erase_host(folder: Path, manifest: Manifest, host: str) -> Erased:
    """Erase a host: its observations, and the facts of messages that came from it or name it on their way."""
    names = naming(host)
    messages: set[bytes] = set()

    def observations(table: pa.Table) -> tuple[pa.Table, pa.Array]:
        is_its = pc.equal(table["host"], host)
        messages.update(table.filter(is_its)["message_id"].drop_null().to_pylist())
        is_quoting = pa.array([False] * table.num_rows, pa.bool_())
        for column in _QUOTING:
            quotes = pa.array([names(text) for text in table[column].to_pylist()], pa.bool_())
            blank = pc.if_else(quotes, pa.scalar(None, pa.string()), table[column])
            table = table.set_column(table.schema.get_field_index(column), table.schema.field(column), blank)
            is_quoting = pc.or_(is_quoting, quotes)
        return table.filter(pc.invert(is_its)), pc.or_(is_its, is_quoting)

    def facts(table: pa.Table) -> tuple[pa.Table, pa.Array]:
        is_its = pa.array(
            [
                message in messages or any(map(names, domains or ())) or hops_name(decode_hops(hops), names)
                for message, domains, hops in zip(
                    *(table[name].to_pylist() for name in ("message_id", "url_domains", "hops")), strict=True
                )
            ],
            pa.bool_(),
        )
        return table.filter(pc.invert(is_its)), is_its

    return _rewrite(folder, manifest, {"observations": observations, "facts": facts})


def erase_recipient(folder: Path, manifest: Manifest, hashes: Collection[bytes]) -> Erased:
    """Take a recipient's keyed hashes out of the facts; the messages themselves stay."""
    gone = frozenset(hashes)

    def facts(table: pa.Table) -> tuple[pa.Table, pa.Array]:
        lists = table["recipients"].to_pylist()
        is_its = pa.array([bool(each) and not gone.isdisjoint(each) for each in lists], pa.bool_())
        kept = pa.array(
            [each if each is None else [one for one in each if one not in gone] for each in lists],
            table.schema.field("recipients").type,
        )
        index = table.schema.get_field_index("recipients")
        return table.set_column(index, table.schema.field("recipients"), kept), is_its

    return _rewrite(folder, manifest, {"facts": facts})


def bury(folder: Path, manifest: Manifest) -> None:
    """Delete every dead file now; a query that has just listed one fails, and does not when it is asked again."""
    paths = manifest.dead(float("inf"))
    with storing(folder, "delete files in"):
        for path in paths:
            (folder / path).unlink(missing_ok=True)
        with manifest.transaction():
            manifest.bury(paths)


# A table of stored rows in; the table to keep, and which of the rows that came in went or were changed, out.
_Change = Callable[[pa.Table], tuple[pa.Table, pa.Array]]


def _rewrite(folder: Path, manifest: Manifest, changes: dict[str, _Change]) -> Erased:
    counts = {"observations": 0, "facts": 0}
    days: set[date] = set()
    for kind, change in changes.items():
        for file in manifest.files(kind):
            table = read_parquet(folder / file.path, STORED[kind])
            kept, touched = change(table)
            rows = pc.sum(touched).as_py() or 0
            if rows:
                counts[kind] += rows
                days |= {day_numbered(number) for number in day_numbers(table.filter(touched))}
                swap(folder, manifest, kind, [file], kept)
                manifest.note_erased(kind, table.num_rows - kept.num_rows)
    return Erased(counts["observations"], counts["facts"], frozenset(days))
