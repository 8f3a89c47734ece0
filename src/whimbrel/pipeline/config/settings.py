"""Each setting with its meaning, its bounds and its default."""

from typing import Annotated, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from whimbrel.model.observation import Label

DATA_VARIABLE: Final = "WHIMBREL_DATA"  # every command's, so the data folder has no second name of its own


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is kept."""

    data: Annotated[str, Meta(description="The folder of the store.", min_length=1)] = "whimbrel-data"
    keep_days: Annotated[
        int, Meta(description="The term of evidence: older days are deleted, once an hour; 0: kept for ever.", ge=0)
    ] = 0


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One place where mail arrives; the table may be repeated."""

    path: Annotated[str, Meta(description="The maildir, mbox file or folder to watch.", min_length=1)]
    kind: Annotated[Literal["maildir", "mbox", "folder"], Meta(description="What it is.")] = "maildir"
    sensor: Annotated[str, Meta(description="Who received this mail: a name of your choice.", min_length=1)] = "mail"
    label: Annotated[Label, Meta(description="What this mail is; unknown mail weighs nothing.")] = "unknown"
    trust: Annotated[
        tuple[str, ...],
        Meta(description="Our own relays, by address, network or name; without it they are inferred."),
    ] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How it is decided."""

    profile: Annotated[
        Literal["shared", "own"], Meta(description="Policy of a new store; one that decides already keeps its own.")
    ] = "shared"


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """How often what is done."""

    gather_seconds: Annotated[
        float, Meta(description="How long changes are gathered before they are read.", ge=0.01, le=60.0)
    ] = 0.1
    look_seconds: Annotated[
        float,
        Meta(description="How often each place is looked through, for changes nobody told of.", ge=0.1, le=3600.0),
    ] = 60.0
    polling: Annotated[bool, Meta(description="Look for changes, where the system cannot tell of them (NFS).")] = False
    poll_seconds: Annotated[float, Meta(description="How often is looked, when polling.", ge=0.1, le=3600.0)] = 1.0
    analyse_seconds: Annotated[
        float,
        Meta(description="How often campaigns are found and own servers inferred.", ge=1.0, le=86_400.0),
    ] = 300.0
    jobs: Annotated[int, Meta(description="Processes that read mail.", ge=1, le=256)] = 1


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """The list that goes out."""

    zone: Annotated[str, Meta(description="The name under which addresses are asked.", min_length=1)] = "bl.example"
    servers: Annotated[tuple[str, ...], Meta(description="The zone's name servers.", min_length=1)] = ("localhost",)
    mailbox: Annotated[str, Meta(description="Who runs the zone, as a domain name; empty: hostmaster.ZONE.")] = ""
    valid_hours: Annotated[
        float,
        Meta(
            description="How long name servers may answer from a snapshot; half way a new one is cut.",
            ge=0.01,
            le=87_600.0,
        ),
    ] = 48.0
    overlay_seconds: Annotated[
        float,
        Meta(
            description="How long changes go out in an overlay before a snapshot is cut; 0: at once.",
            ge=0,
            le=86_400,
        ),
    ] = 60.0
    snapshot: Annotated[str, Meta(description="Where the snapshot goes; empty: list.snapshot in the store.")] = ""
    signing_key: Annotated[
        str, Meta(description="The file of keys that sign the list; empty: the store's own, if it has one.")
    ] = ""


class Serve(msgspec.Struct, frozen=True, kw_only=True):
    """The name server."""

    listen: Annotated[
        tuple[str, ...],
        Meta(description="Where to answer; port 0: a free one; an empty list: nowhere."),
    ] = ("127.0.0.1:5300", "[::1]:5300")
    workers: Annotated[
        int,
        Meta(
            description="Threads that answer UDP on each endpoint, compiled: as many as it has cores; 0: none.",
            ge=0,
            le=256,
        ),
    ] = 1
    rate_limit: Annotated[
        int,
        Meta(
            description="UDP answers a second to one network (/24, IPv6 /56), of each class; 0: no limit.",
            ge=0,
            le=1_000_000,
        ),
    ] = 200
    slip: Annotated[
        int,
        Meta(
            description="Of the answers withheld, one in so many is sent empty, to be had over TCP; 0: none.",
            ge=0,
            le=100,
        ),
    ] = 2
    exempt: Annotated[tuple[str, ...], Meta(description="Networks that are not limited.")] = ("127.0.0.0/8", "::1")
    allow: Annotated[tuple[str, ...], Meta(description="Networks that may ask; empty: everybody.")] = ()
    deny: Annotated[tuple[str, ...], Meta(description="Networks that may not ask.")] = ()
    public: Annotated[
        tuple[str, ...], Meta(description="Public resolvers, which get an error unless the name has a key.")
    ] = ()
    subscribers: Annotated[str, Meta(description="The file of subscribers' keys and quotas; empty: none.")] = ""
    cookie_secrets: Annotated[
        str, Meta(description="The file of secrets that servers share; empty: one of its own, changed daily.")
    ] = ""
    known: Annotated[
        str, Meta(description="The file of networks that are answered first under a flood; empty: none.")
    ] = ""
    learned: Annotated[
        str, Meta(description="Where networks that ask steadily are kept, to be known too; empty: none are learned.")
    ] = ""
    transfer_keys: Annotated[
        str, Meta(description="The file of keys that sign zone transfers; empty: nobody gets any.")
    ] = ""
    transfer_to: Annotated[
        tuple[str, ...], Meta(description="Who may ask for a transfer, with a key: addresses and networks.")
    ] = ()
    notify: Annotated[
        tuple[str, ...], Meta(description="The secondaries that are told of each new list: KEY@ADDRESS:PORT.")
    ] = ()


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics and health, over HTTP."""

    listen: Annotated[str, Meta(description="Where /metrics, /healthz and /readyz are; empty: nowhere.")] = (
        "127.0.0.1:9530"
    )


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What is told on standard error."""

    format: Annotated[Literal["text", "json"], Meta(description="Lines for people, or JSON lines.")] = "text"
    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The least that is told.")] = "info"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, a table a field."""

    store: Store = msgspec.field(default_factory=Store)
    watch: tuple[Watch, ...] = ()
    policy: Policy = msgspec.field(default_factory=Policy)
    cycle: Cycle = msgspec.field(default_factory=Cycle)
    publish: Publish = msgspec.field(default_factory=Publish)
    serve: Serve = msgspec.field(default_factory=Serve)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    log: Log = msgspec.field(default_factory=Log)


TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "store": Store,
    "watch": Watch,
    "policy": Policy,
    "cycle": Cycle,
    "publish": Publish,
    "serve": Serve,
    "metrics": Metrics,
    "log": Log,
}

# Settings that name places: relative ones of a file are taken from its folder.
PATHS: Final = {
    "store": ("data",),
    "watch": ("path",),
    "publish": ("snapshot", "signing_key"),
    "serve": ("subscribers", "cookie_secrets", "known", "learned", "transfer_keys"),
}


def variable_of(table: str, key: str) -> str:
    """Return the environment variable that sets a setting; watched places have none."""
    return DATA_VARIABLE if (table, key) == ("store", "data") else f"WHIMBREL_{table}_{key}".upper()


def meaning_of(table: type[msgspec.Struct], key: str) -> str:
    """Return what a setting means."""
    kind = get_type_hints(table, include_extras=True)[key]
    return next(meta.description for meta in kind.__metadata__ if isinstance(meta, Meta) and meta.description)
