"""Tables that the engine computes once and keeps until the end, and what is read of them.

For little data nearly all the time goes into Ibis making expressions and writing SQL.  So with DuckDB the tables kept
have the same names each time: equal questions are then equal expressions, made (`made_once`) and written as SQL once a
process.  Other engines keep by `cache`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache, wraps
from itertools import count
from typing import Any, ParamSpec

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends import BaseBackend

# A tabulation asks some thirty questions; a few that differ (in settings, windows, tables from outside) fit.
_QUESTIONS = 256

P = ParamSpec("P")

_places_taken: set[int] = set()  # what is kept at the same time has different names


class Kept:
    """What one engine keeps, under the names of one place."""

    def __init__(self, backend: BaseBackend, place: int, until_the_end: ExitStack) -> None:
        self._backend, self._place, self._until_the_end = backend, place, until_the_end
        self._numbers = count()

    def keep(self, part: ir.Table) -> ir.Table:
        """Have the engine compute a table, and return it."""
        if self._backend.name != "duckdb":
            if not isinstance(part.op(), ops.InMemoryTable):
                return self._until_the_end.enter_context(part.cache())
            self._backend.to_pyarrow(part.limit(0))  # Ibis does not tell Spark of it when a part is only kept
            return part
        name = f"whimbrel_links_{self._place}_{next(self._numbers)}"
        self._until_the_end.callback(self._backend.con.execute, f"DROP TABLE IF EXISTS temp.main.{name}")
        if _holds_data(part.op()):
            return self._backend.create_table(name, part, schema=part.schema(), temp=True)
        self._backend.con.execute(f"CREATE TEMPORARY TABLE {name} ({_columns(part.schema())})")
        self._backend.con.execute(f"INSERT INTO temp.main.{name} {_question(part.op())}")
        place = ops.Namespace(catalog="temp", database="main")
        return ops.DatabaseTable(name, part.schema(), self._backend, place).to_expr()

    def read(self, part: ir.Table) -> pa.Table:
        """Return the rows of a table, with the columns of whichever types the engine gives them."""
        if self._backend.name != "duckdb" or _holds_data(part.op()):
            return self._backend.to_pyarrow(part)
        return self._backend.con.sql(_question(part.op())).to_arrow_table()

    def further(self) -> AbstractContextManager["Kept"]:
        """Give what keeps tables in the same engine, for a shorter time."""
        return kept_tables(self._backend)


@contextmanager
def kept_tables(backend: BaseBackend) -> Iterator[Kept]:
    """Give what keeps tables in a backend of Ibis until the end."""
    place = next(place for place in count() if place not in _places_taken)
    _places_taken.add(place)
    try:
        with ExitStack() as until_the_end:
            yield Kept(backend, place, until_the_end)
    finally:
        _places_taken.discard(place)


def made_once(make: Callable[P, ir.Table]) -> Callable[P, ir.Table]:
    """Have a pure function of tables, and of what can be hashed, make each expression once a process."""

    @lru_cache(maxsize=_QUESTIONS)
    def made(*keys: Any, **named: Any) -> ir.Table:  # noqa: ANN401 - whatever that function takes
        return make(*map(_back, keys), **named)

    @wraps(make)
    def asked(*given: P.args, **named: P.kwargs) -> ir.Table:
        keys, options = [_key(each) for each in given], dict[str, Any](named)
        return make(*given, **named) if any(map(_is_of_data, keys)) else made(*keys, **options)

    return asked


def _key(given: object) -> Any:  # noqa: ANN401 - what is equal where the arguments ask for the same expression
    """Return tables, also those within named tuples, as the operations that they stand for: these can be compared."""
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return type(given)(*map(_key, given))
    return given.op() if isinstance(given, ir.Table) else given


def _back(key: object) -> Any:  # noqa: ANN401 - the arguments again
    if isinstance(key, tuple) and hasattr(key, "_fields"):
        return type(key)(*map(_back, key))
    return key.to_expr() if isinstance(key, ops.Relation) else key


def _is_of_data(key: object) -> bool:
    if isinstance(key, tuple):
        return any(map(_is_of_data, key))
    return isinstance(key, ops.Relation) and _holds_data(key)


def _holds_data(asked: ops.Relation) -> bool:
    """Tell whether data is part of an expression: it equals no other, and to remember it were to remember the data."""
    return bool(asked.find(ops.InMemoryTable))


@lru_cache(maxsize=_QUESTIONS)
def _question(asked: ops.Relation) -> str:
    return str(asked.to_expr().compile())


@lru_cache(maxsize=_QUESTIONS)
def _columns(schema: ibis.Schema) -> str:
    return ", ".join(column.sql("duckdb") for column in schema.to_sqlglot_column_defs("duckdb"))
