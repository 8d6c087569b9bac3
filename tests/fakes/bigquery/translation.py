"""GoogleSQL for the fake BigQuery: sqlglot translates it into DuckDB's SQL, statements that change something too.

It is laxer than the translation that the product runs on files, and independent of it, so that tests can compare the two.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlglot
from sqlglot import exp

from finetune.fetch.query import SqlError


def translate(sql: str, relation: Callable[[str], str]) -> str:
    """One GoogleSQL statement as DuckDB SQL. `relation` returns the DuckDB SQL for a table's address, such as p.d.t_20*.

    Raises SqlError if it is not valid GoogleSQL.
    """
    tree = offsets_from_zero(parse(sql).transform(translate_array_agg))
    for table, address in referenced_tables(tree):
        replacement = sqlglot.parse_one(f"FROM {relation(address)}", dialect="duckdb", into=exp.From).this
        if isinstance(table.parent, exp.From | exp.Join):
            replacement.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
        for argument in ("alias", "joins", "sample", "laterals"):
            if table.args.get(argument):
                replacement.set(argument, table.args[argument])
        table.replace(replacement)
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def parse(sql: str) -> exp.Expr:
    """The syntax tree of one GoogleSQL statement. Raises SqlError."""
    try:
        statements = [tree for tree in sqlglot.parse(sql, dialect="bigquery") if tree is not None]
    except sqlglot.ParseError as error:
        first = error.errors[0]
        word, line = first["highlight"], first["line"]
        raise SqlError(f'Syntax error: Unexpected "{word}"', line, first["col"] - len(word) + 1) from None
    except sqlglot.TokenError as error:
        raise SqlError(f"Syntax error: {error}", sql.count("\n") + 1, 1) from None
    if len(statements) != 1:
        raise SqlError(f"it has {len(statements)} statements, and should have one", 1, 1)
    return statements[0]


def referenced_tables(tree: exp.Expr) -> list[tuple[exp.Table, str]]:
    """The tables that a statement reads, each with its address; not those that it defines itself in WITH."""
    defined = {expression.alias_or_name.lower() for expression in tree.find_all(exp.CTE)}
    found = []
    for table in tree.find_all(exp.Table):
        address = ".".join(part.name for part in table.parts)
        if address.lower() not in defined and not isinstance(table.this, exp.Func):
            found.append((table, address))
    return found


def translate_array_agg(node: exp.Expr) -> exp.Expr:
    """ARRAY_AGG(value ORDER BY … LIMIT n) as LIST_SLICE(LIST(value ORDER BY …) FILTER (…), 1, n).

    NULLs are left out, with IGNORE NULLS or without: BigQuery allows none in an array that it returns.
    """
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


def offsets_from_zero(tree: exp.Expr) -> exp.Expr:
    """UNNEST(…) WITH OFFSET counts from 0 in BigQuery; DuckDB's WITH ORDINALITY counts from 1."""
    for unnest in list(tree.find_all(exp.Unnest)):
        offset, select = unnest.args.get("offset"), unnest.find_ancestor(exp.Select)
        if not offset or select is None:
            continue
        name = offset.name if isinstance(offset, exp.Identifier) else "offset"
        for column in list(select.find_all(exp.Column)):
            if column.name.lower() == name.lower() and not column.table:
                from_zero: exp.Expr = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
                column.replace(exp.alias_(from_zero, name) if column.parent is select else from_zero)
    return tree
