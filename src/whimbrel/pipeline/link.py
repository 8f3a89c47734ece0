"""The link test over a store's evidence: windows that have closed since are added, and verdicts drawn.

    evidence (+ membership of campaigns) --Ibis--> analysis.links.grow --state--> derived tables; --> verdicts
    an operator's files --lookups--> networks of the hosts seen, leases --> analysis.links.outside

The state of all pairs is kept beside the evidence, with its version, settings and a digest of those files, and only
grows; where it was made under others, it is built anew by replay.  A message's campaign is the one it is a member of
when its window is added: what merges later is an alias for later windows.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.links import Settings, State, Stored, grow, verdicts
from whimbrel.analysis.links.columns import READ
from whimbrel.analysis.links.explain import Explanation, explain_pair
from whimbrel.analysis.links.outside import Outside
from whimbrel.analysis.links.units import last_closed
from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.lookups.leases import read_leases
from whimbrel.lookups.networks import open_table

if TYPE_CHECKING:
    import ibis.expr.types as ir

STAGE = "links"
VERSION = 1

_STATE = "link state"


class Files(NamedTuple):
    """An operator's files: tables of AS or prefixes, the first that knows a host first; and leases.

    By default what an observation says stands, and tables fill in what none says; `table_first` turns that round.
    `say` is told what each file holds.
    """

    as_tables: tuple[Path, ...] = ()
    leases: Path | None = None
    table_first: bool = False
    say: Callable[[str], None] = lambda _: None


_NO_FILES = Files()


def links(data_dir: Path, now: datetime, settings: Settings | None = None, files: Files = _NO_FILES) -> pa.Table:
    """Return the verdicts on all pairs (`analysis.links.columns.VERDICTS`) at the last window closed by `now`.

    Where nobody else writes to the store, the state that they rest on is kept, and only grows from then on.
    Raises ConfigError where one of the `files` makes no sense.
    """
    settings = settings or Settings()
    with _opened(data_dir) as (store, may_write):
        outside = _outside(store, files)
        before = _restored(store, settings, outside)
        looks_back = before is not None and (before.through or 0) > last_closed(now, settings)
        with _observations(store) as observations:
            grown = grow(observations, settings, now, None if looks_back else before, outside)
        if may_write and not looks_back:
            _keep(store, grown.state)
    return verdicts(grown)


@contextmanager
def _opened(data_dir: Path) -> Iterator[tuple[Evidence, bool]]:
    """Open a store that exists, for writing where that can be had."""
    Evidence.open(data_dir).close()
    try:
        store, may_keep = Evidence.open(data_dir, write=True), True
    except StoreError:
        store, may_keep = Evidence.open(data_dir), False
    with store:
        yield store, may_keep


def link(  # noqa: PLR0917 - those of `links`, and the pair
    data_dir: Path,
    now: datetime,
    family: str,
    campaign: str,
    settings: Settings | None = None,
    files: Files = _NO_FILES,
) -> Explanation:
    """Return everything behind the verdicts on one pair.

    Raises ConfigError where either was never seen, or one of the `files` makes no sense.
    """
    with Evidence.open(data_dir) as store, _observations(store) as observations:
        for column, name in (("family", family), ("campaign", campaign)):
            if not observations.filter(observations[column] == name).limit(1).to_pyarrow().num_rows:
                raise ConfigError(f"no {column} {name!r} was seen; `whimbrel links` lists those that were")
        outside = _outside(store, files)
        return explain_pair(observations, settings or Settings(), now, family, campaign, outside)


def _outside(store: Evidence, files: Files) -> Outside:
    """Read the files, and look up the networks of all hosts that were seen."""
    tables = [(path, open_table(path)) for path in files.as_tables]
    leases = None if files.leases is None else read_leases(files.leases)
    if not tables and leases is None:
        return Outside()
    unknown = hosts = store.query("SELECT DISTINCT host FROM observations")["host"].combine_chunks()
    found = []
    for path, table in tables:
        found.append(table.look_up(unknown))
        files.say(f"{path}: {', '.join(table.notes)}; knows {found[-1].num_rows:,} of {len(unknown):,} hosts")
        unknown = unknown.filter(pc.invert(pc.is_in(unknown, found[-1]["host"].combine_chunks())))
    if leases is not None:
        told = pc.sum(pc.is_in(hosts, leases.table["host"].combine_chunks())).as_py() or 0
        files.say(f"{files.leases}: {', '.join(leases.notes)}; tells of {told:,} of {len(hosts):,} hosts seen")
    said = [*(table.digest for _, table in tables), files.table_first, "" if leases is None else leases.digest]
    return Outside(
        pa.concat_tables(found) if found else None,
        None if leases is None else leases.table,
        files.table_first,
        hashlib.sha256(json.dumps(said).encode()).hexdigest(),
    )


def _keep(store: Evidence, state: State) -> None:
    stored = state.store()
    metadata = {key.decode(): value.decode() for key, value in stored.evidence.schema.metadata.items()}
    counts = store.counts()
    metadata |= {"batch": str(counts.batches), "superseded": str(counts.superseded)}
    with store.together():
        for name, table in zip(Stored._fields, stored, strict=True):
            store.replace(f"link_{name}", {"": table}, stage=STAGE, version=VERSION)
        store.remember(_STATE, json.dumps(metadata))


def forget_state(store: Evidence) -> None:
    """Forget what was added up; the next verdicts add up the evidence there is."""
    for name in Stored._fields:
        store.drop(f"link_{name}")
    store.remember(_STATE, "{}")


def _restored(store: Evidence, settings: Settings, outside: Outside) -> State | None:
    """Return the kept state; None where there is none, or it has to be built anew by replay."""
    metadata: dict[str, str] = json.loads(store.recall(_STATE) or "{}")
    kept = [store.derived(f"link_{name}") for name in Stored._fields]
    if not metadata or any(table is None for table in kept):
        return None
    stored = Stored(*(table.replace_schema_metadata(metadata) for table in kept if table is not None))
    try:
        state = State.restore(stored, settings, outside.digest)
    except (ValueError, msgspec.MsgspecError):  # of another version, under other settings, or by other files
        return None
    return None if _is_overtaken(store, state, metadata) else state


def _is_overtaken(store: Evidence, state: State, metadata: dict[str, str]) -> bool:
    """Tell whether evidence of windows that were closed came in after all (old mail read late), or was corrected."""
    if str(store.counts().superseded) != metadata["superseded"]:
        return True
    if state.through is None:
        return False
    until = datetime(1969, 12, 29, tzinfo=UTC) + timedelta(weeks=state.through + 1)
    late = store.query(
        "SELECT count(*) AS rows FROM observations WHERE batch > $batch AND learned_at < $until",
        {"batch": int(metadata["batch"]), "until": until},
    )
    return bool(late["rows"][0].as_py())


@contextmanager
def _observations(store: Evidence) -> Iterator["ir.Table"]:
    """Give the observations in force, each with the campaign that its message is a member of."""
    with store.relations() as connection:
        rows = connection.table("observations")
        if store.derived_versions("membership"):
            members = connection.table("membership").select("message_id", member_of="campaign", by="basis")
            rows = rows.left_join(members, "message_id")
            rows = rows.mutate(
                campaign=rows.campaign.coalesce(rows.member_of), campaign_basis=rows.campaign_basis.coalesce(rows.by)
            )
        yield rows.select("seen_at", "learned_at", *READ)
