"""GoogleSQL → DuckDB, through sqlglot, with what it leaves undone mended.

tables                         each becomes what the caller says it is here, wildcard tables included
ARRAY_AGG(… LIMIT n)           a list, cut
FARM_FINGERPRINT(text)         a function of Python's, on the C++ that BigQuery runs
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import sqlglot
from sqlglot import exp

from app.errors import DataError


class SqlError(DataError):
    """A query that cannot run. `line` and `column` count from 1, in the query as it was given."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def translate(sql: str, relation: Callable[[str], str]) -> str:
    """One GoogleSQL statement as DuckDB's. `relation` gives the SQL that stands for a table, such as p.d.t_20*.

    Raises SqlError where it is no GoogleSQL.
    """
    tree = parse(sql).transform(mend)
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
