"""GoogleSQL → DuckDB, through sqlglot, with what it leaves undone mended.

tables                         each becomes what the caller says it is here, wildcard tables included
ARRAY_AGG(… LIMIT n)           a list, cut
FARM_FINGERPRINT(text)         a function of Python's, on the C++ that BigQuery runs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import duckdb
import sqlglot
from sqlglot import exp

from app.errors import DataError
from finetune.fetch.query import SqlError


def translate(sql: str, relation: Callable[[str], str]) -> str:
    """One GoogleSQL statement as DuckDB's. `relation` gives the SQL that stands for a table, such as p.d.t_20*.

    Raises SqlError where it is no GoogleSQL.
    """
    tree = count_from_zero(parse(sql).transform(mend))
    for table, name in tables(tree):
        there = sqlglot.parse_one(f"FROM {relation(name)}", dialect="duckdb", into=exp.From).this
        if isinstance(table.parent, exp.From | exp.Join):
            there.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
        for kept in ("alias", "joins", "sample", "laterals"):
            if table.args.get(kept):
                there.set(kept, table.args[kept])
        table.replace(there)
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def parse(sql: str) -> exp.Expr:
    try:
        statements = [tree for tree in sqlglot.parse(sql, dialect="bigquery") if tree is not None]
    except sqlglot.ParseError as error:
        at = error.errors[0]
        word, line = at["highlight"], at["line"]
        raise SqlError(f'Syntax error: Unexpected "{word}"', line, at["col"] - len(word) + 1) from None
    except sqlglot.TokenError as error:
        raise SqlError(f"Syntax error: {error}", sql.count("\n") + 1, 1) from None
    if len(statements) != 1:
        raise SqlError(f"{len(statements)} statements, and should be one", 1, 1)
    return statements[0]


def selected(sql: str) -> list[str]:
    """The columns that a query gives."""
    tree = parse(sql)
    if not isinstance(tree, exp.Query):
        raise SqlError("a statement that changes something, and should be a query", 1, 1)
    return tree.named_selects


def tables(tree: exp.Expr) -> list[tuple[exp.Table, str]]:
    """The tables of a statement, without those that it makes itself in WITH, each with its full name."""
    made = {expression.alias_or_name.lower() for expression in tree.find_all(exp.CTE)}
    found = []
    for table in tree.find_all(exp.Table):
        name = ".".join(part.name for part in table.parts)
        if name.lower() not in made and not isinstance(table.this, exp.Func):
            found.append((table, name))
    return found


def mend(node: exp.Expr) -> exp.Expr:
    """ARRAY_AGG(value ORDER BY … LIMIT n). Nulls are left out, with IGNORE NULLS or without: BigQuery has no array of them."""
    if not isinstance(node, exp.ArrayAgg):
        return node
    limit = node.this.expression if isinstance(node.this, exp.Limit) else None
    listed = node.this if limit is None else node.this.this
    value = listed.this if isinstance(listed, exp.Order) else listed
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    gathered = exp.Filter(
        this=exp.Anonymous(this="LIST", expressions=[listed]),
        expression=exp.Where(this=exp.Not(this=exp.Is(this=exp.paren(value.copy()), expression=exp.null()))),
    )
    if limit is None:
        return gathered
    return exp.Anonymous(this="LIST_SLICE", expressions=[gathered, exp.Literal.number(1), limit])


def count_from_zero(tree: exp.Expr) -> exp.Expr:
    """UNNEST(…) WITH OFFSET: DuckDB's ordinality begins at 1."""
    for unnest in list(tree.find_all(exp.Unnest)):
        offset, select = unnest.args.get("offset"), unnest.find_ancestor(exp.Select)
        if not offset or select is None:
            continue
        name = offset.name if isinstance(offset, exp.Identifier) else "offset"
        for column in list(select.find_all(exp.Column)):
            if column.name.lower() == name.lower() and not column.table:
                counted: exp.Expr = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
                column.replace(exp.alias_(counted, name) if column.parent is select else counted)
    return tree


def condition(sql: str, name: str, columns: Collection[str], values: Mapping[str, str | int | float | bool]) -> str:
    """What a row of a table must fulfil for the query to use it, in DuckDB's SQL with the values in it; TRUE if any may do.

    From each SELECT that reads the table, those conditions of its WHERE that are on columns of this table alone.
    """
    found = []
    for table, full in tables(parse(sql)):
        if full != name:
            continue
        select = table.find_ancestor(exp.Select)
        joins = select.args.get("joins") or [] if select else []
        reads = isinstance(table.parent, exp.From) or table.parent in joins
        # A row that an outer join leaves out comes back as nulls, and conditions may ask for these.
        if select is None or not reads or any(join.side for join in joins):
            return "TRUE"
        where = select.args.get("where")
        qualifiers = {table.alias_or_name.lower()} | (set() if joins else {""})
        usable = [c for c in (where.this.flatten() if where else []) if is_on(c, qualifiers, columns)]
        if where and not isinstance(where.this, exp.And):
            usable = [where.this] if is_on(where.this, qualifiers, columns) else []
        if not usable:
            return "TRUE"
        found.append(exp.and_(*usable))
    if not found:
        return "TRUE"

    def alone(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            return exp.column(node.name, quoted=True)
        return exp.convert(values[node.name]) if isinstance(node, exp.Parameter) and node.name in values else node

    return exp.or_(*found).transform(alone).sql(dialect="duckdb")


def is_on(condition: exp.Expr, qualifiers: Collection[str], columns: Collection[str]) -> bool:
    """Whether a condition is on columns of one table, and the same each time it is looked at."""
    if condition.find(exp.Query, exp.Window, exp.AggFunc, exp.Rand):
        return False
    return all(
        column.table.lower() in qualifiers and column.name in columns for column in condition.find_all(exp.Column)
    )


@contextmanager
def located(sql: str) -> Iterator[None]:
    """Say what DuckDB says against a query as BigQuery would, with the place in the query as it was given."""
    try:
        yield
    except (
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ParserException,
        duckdb.ConversionException,
    ) as error:
        text = str(error)
        name = re.search(r'column "(\w+)" not found', text)
        function = re.search(r"Function with name (\w+) does not exist", text)
        if name:
            raise SqlError(f"Unrecognized name: {name[1]}", *position(sql, name[1])) from None
        if function:
            line, column = position(sql, function[1])
            written = sql.splitlines()[line - 1][column - 1 :][: len(function[1])]
            raise SqlError(f"Function not found: {written}", line, column) from None
        raise SqlError(text.splitlines()[0], 1, 1) from None


@contextmanager
def refusals(what: str, memory: str) -> Iterator[None]:
    """What DuckDB says against something else than the SQL, in one sentence."""
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.OutOfMemoryException:
        raise DataError(f"{what} needs more than {memory} of memory: raise --memory.") from None
    except duckdb.Error as error:
        raise DataError(f"{what}: {str(error).splitlines()[0]}") from None


def position(sql: str, word: str) -> tuple[int, int]:
    """Line and column of the first token that is this word, such as body or @n; of the whole query if none is."""
    found = sqlglot.tokenize(sql, read="bigquery")
    for before, token in pairwise([found[0], *found]):
        if token.text.lower() == word.lower().removeprefix("@") and (before.text == "@" or not word.startswith("@")):
            return token.line, token.col - len(word) + 1
    return 1, 1


def connect(folder: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """A DuckDB that knows GoogleSQL's functions and, as BigQuery, UTC."""
    from farmhash import fingerprint64

    def farm_fingerprint(text: str) -> int:
        number: int = fingerprint64(text)
        return number - 2**64 if number >= 2**63 else number

    connection = duckdb.connect(folder)
    connection.create_function("farm_fingerprint", farm_fingerprint, ["VARCHAR"], "BIGINT")
    connection.execute("SET TimeZone = 'UTC'")
    return connection
