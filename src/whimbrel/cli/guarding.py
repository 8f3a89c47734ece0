"""The options of the commands that answer over DNS: who may ask, how much, and what is told of it."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from whimbrel.nameserver.guards.limits import RATE, SLIP
from whimbrel.nameserver.guards.settings import LOOPBACK, GuardSettings

if TYPE_CHECKING:
    from whimbrel.pipeline.config.settings import Serve

_Function = TypeVar("_Function", bound=Callable[..., object])

_NOBODY = "none"  # a word for an empty list, where leaving an option out means its default


def guard_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the guards; the command gets all of them as `guards`."""

    @wraps(function)
    def packed(
        *positional: Any,  # noqa: ANN401 - what click passes, whatever it is
        rate_limit: int,
        slip: int,
        exempt: tuple[str, ...],
        allow: tuple[str, ...],
        deny: tuple[str, ...],
        public: tuple[str, ...],
        subscribers: Path | None,
        cookie_secrets: Path | None,
        known: Path | None,
        learned: Path | None,
        **others: Any,  # noqa: ANN401
    ) -> None:
        guards = GuardSettings(
            rate=rate_limit,
            slip=slip,
            exempt=() if exempt == (_NOBODY,) else exempt or LOOPBACK,
            allow=allow,
            deny=deny,
            public=public,
            subscribers=subscribers,
            cookie_secrets=cookie_secrets,
            known=known,
            learned=learned,
        )
        function(*positional, guards=guards, **others)

    for option in reversed(_options()):
        packed = option(packed)
    return packed


def _options() -> list[Callable[[_Function], _Function]]:
    file = click.Path(path_type=Path, dir_okay=False)

    def networks(name: str, text: str) -> Callable[[_Function], _Function]:
        return click.option(name, metavar="NETWORK", multiple=True, help=text + "; may be repeated.")

    return [
        click.option(
            "--rate-limit",
            metavar="N",
            type=click.IntRange(min=0, max=1_000_000),
            default=RATE,
            show_default=True,
            help="UDP answers a second to one network (/24, IPv6 /56), of each class; 0: no limit.",
        ),
        click.option(
            "--slip",
            metavar="N",
            type=click.IntRange(min=0, max=100),
            default=SLIP,
            show_default=True,
            help="Of the answers withheld, send one in N empty, to be had over TCP; 0: none.",
        ),
        networks("--exempt", "Who is not limited [127.0.0.0/8 and ::1]; `none`: nobody"),
        networks("--allow", "Who may ask [everybody]"),
        networks("--deny", "Who may not ask"),
        networks("--public", "Public resolvers, which get an error unless the name has a key"),
        click.option("--subscribers", type=file, help="Keys and quotas: lines NAME KEY QUERIES-A-DAY; mode 0600."),
        click.option("--cookie-secrets", type=file, help="Secrets that servers share: lines ID HEX; mode 0600."),
        click.option("--known", type=file, help="Networks that are answered first under a flood, one a line."),
        click.option("--learned", type=file, help="Know networks that ask steadily, too; they are kept here."),
    ]


def guard_arguments(serve: "Serve") -> Sequence[str]:
    """Return the command line that says what settings say of the guards."""
    arguments = ["--rate-limit", str(serve.rate_limit), "--slip", str(serve.slip)]
    listed = (("exempt", serve.exempt or (_NOBODY,)), ("allow", serve.allow), ("deny", serve.deny))
    for name, values in (*listed, ("public", serve.public)):
        arguments += [word for value in values for word in (f"--{name}", value)]
    files = (("subscribers", serve.subscribers), ("cookie-secrets", serve.cookie_secrets))
    for name, path in (*files, ("known", serve.known), ("learned", serve.learned)):
        arguments += [f"--{name}", path] if path else []
    return arguments
