"""What DuckDB keeps: SQL is written once for equal questions, and never taken for another's."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest

from whimbrel.analysis.links import kept as module
from whimbrel.analysis.links.kept import kept_tables, made_once


@pytest.fixture
def engine() -> Iterator[Any]:
    engine = ibis.duckdb.connect()
    yield engine
    engine.disconnect()


def doubled(table: ir.Table) -> ir.Table:
    return table.mutate(number=table.number * 2)


def asked(engine: Any, column: pa.Array) -> list[Any]:
    """Double a column's values twice, with a table kept on the way."""
    with kept_tables(engine) as kept:
        given = kept.keep(ibis.memtable(pa.table({"number": column})))
        found: list[Any] = kept.read(doubled(kept.keep(doubled(given))))["number"].to_pylist()
        return found


def test_equal_questions_are_written_once_and_have_the_answers_of_their_own_data(engine: Any) -> None:
    module._question.cache_clear()
    for numbers in ([1, 2], [3], []):
        assert asked(engine, pa.array(numbers, pa.int64())) == [4 * number for number in numbers]
    assert module._question.cache_info()[:2] == (4, 2)  # hits, misses


def test_the_same_names_with_other_types_are_another_question(engine: Any) -> None:
    assert asked(engine, pa.array([1, 2], pa.int64())) == [4, 8]
    assert asked(engine, pa.array([0.25], pa.float64())) == [1.0]


def test_another_engine_answers_from_its_own_tables(engine: Any) -> None:
    engine.create_table("told", pa.table({"number": [1]}))
    other = ibis.duckdb.connect()
    other.create_table("told", pa.table({"number": [2]}))
    for one, number in ((engine, 2), (other, 4)):
        with kept_tables(one) as kept:
            assert kept.read(kept.keep(doubled(one.table("told"))))["number"].to_pylist() == [number]
    other.disconnect()


def test_data_within_a_question_is_not_remembered(engine: Any) -> None:
    module._question.cache_clear()
    given = doubled(ibis.memtable(pa.table({"number": [1]})))
    with kept_tables(engine) as kept:
        assert kept.read(given)["number"].to_pylist() == [2]
        assert kept.read(doubled(kept.keep(given)))["number"].to_pylist() == [4]
    assert module._question.cache_info().currsize == 1  # the last


def names(engine: Any) -> list[str]:
    return [name for (name,) in engine.con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]


def test_what_is_kept_at_the_same_time_stays_apart_and_nothing_is_left(engine: Any) -> None:
    with kept_tables(engine) as kept:
        outer = kept.keep(ibis.memtable(pa.table({"number": [1]})))
        with kept.further() as further:
            inner = further.keep(doubled(outer))
            assert further.read(inner)["number"].to_pylist() == [2]
            assert len(names(engine)) == 2
        assert kept.read(outer)["number"].to_pylist() == [1]
        assert len(names(engine)) == 1
    assert not names(engine)


def test_what_cannot_be_answered_leaves_nothing_either(engine: Any) -> None:
    numbers = ibis.memtable(pa.table({"number": ["one"]}))
    with pytest.raises(duckdb.ConversionException, match="one"), kept_tables(engine) as kept:
        kept.keep(kept.keep(numbers).mutate(number=ibis._.number.cast("int64")))
    assert not names(engine)


class Told(NamedTuple):
    """Tables beside each other, as `Known` has them."""

    one: ir.Table
    other: ir.Table


def test_equal_expressions_are_made_once() -> None:
    made: list[int] = []

    @made_once
    def joined(told: Told, most: int, *, name: str) -> ir.Table:
        made.append(most)
        return told.one.join(told.other, "number").filter(told.one.number <= most).select(**{name: told.one.number})

    def tables(type_: str) -> Told:
        return Told(ibis.table({"number": type_}, name="one"), ibis.table({"number": type_}, name="other"))

    first = joined(tables("int64"), 3, name="found")
    assert joined(tables("int64"), 3, name="found").equals(first)
    assert made == [3]
    joined(tables("int64"), 4, name="found")
    joined(tables("float64"), 3, name="found")
    assert joined(tables("int64"), 3, name="another").columns == ("another",)
    assert made == [3, 4, 3, 3]


def test_expressions_of_data_are_not_remembered() -> None:
    made: list[int] = []

    @made_once
    def doubled_once(table: ir.Table) -> ir.Table:
        made.append(1)
        return doubled(table)

    for number in (1, 2):
        given = ibis.memtable(pa.table({"number": [number]}))
        assert doubled_once(given).to_pyarrow()["number"].to_pylist() == [2 * number]
    assert len(made) == 2
