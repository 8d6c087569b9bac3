"""The grammar: one GoogleSQL statement, parsed by sqlglot, and the place of each of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokenizer_core import Token, TokenType

from finetune.fetch.googlesql.string_literals import text_of_literal
from finetune.fetch.query import Query, SqlError

NAMES_AND_VALUES = (
    TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.RAW_STRING, TokenType.BYTE_STRING, TokenType.HEX_STRING,
    TokenType.NUMBER,
)  # fmt: skip
POSITIONS = ("OFFSET", "ORDINAL", "SAFE_OFFSET", "SAFE_ORDINAL")
WORDS = {
    *POSITIONS, "CAST", "SAFE_CAST", "EXTRACT", "IF", "SAFE", "NULLS", "IGNORE", "RESPECT", "FIRST", "LAST", "AT", "TIME", "ZONE",
    "UNBOUNDED", "PRECEDING", "FOLLOWING", "CURRENT", "ROW", "YEAR", "ISOYEAR", "QUARTER", "MONTH", "WEEK", "ISOWEEK", "DAY",
    "DAYOFWEEK", "DAYOFYEAR", "DATE", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "RECURSIVE", "ANY", "ALL", "SOME",
}  # fmt: skip
SPECIAL_SYNTAX = ("CAST", "SAFE_CAST", "EXTRACT")


class GoogleSQL(BigQuery):
    """BigQuery's grammar, except that calls of functions stay as they are written: name and arguments."""

    class Parser(BigQuery.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        # With these, ARRAY(SELECT …)[OFFSET(1)] would be read as the array [OFFSET(1)].
        ARRAY_CONSTRUCTORS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: BigQuery.Parser.FUNCTION_PARSERS[name] for name in SPECIAL_SYNTAX
        }


def parse(sql: str) -> exp.Expr:
    """The syntax tree of one GoogleSQL statement. Raises SqlError."""
    try:
        tokens = GoogleSQL().tokenize(sql)
        read_literals(tokens, sql)
        statements = [tree for tree in GoogleSQL().parser().parse(tokens, sql) if tree is not None]
    except sqlglot.ParseError as error:
        first = error.errors[0]
        word, line = first["highlight"], first["line"]
        raise SqlError(f'Syntax error: Unexpected "{word}"', line, first["col"] - len(word) + 1) from None
    except RecursionError:
        raise SqlError("the query has too many parts within each other", 1, 1) from None
    except sqlglot.TokenError as error:
        raise SqlError(f"Syntax error: {error}", sql.count("\n") + 1, 1) from None
    if len(statements) != 1:
        raise SqlError(f"it has {len(statements)} statements, and should have one", 1, 1)
    return statements[0]


def refuse_other_syntax(sql: str) -> None:
    """Refuse what the parser reads though BigQuery does not, and the pipe syntax, which it reads as something else."""
    tokens = GoogleSQL().tokenize(sql)
    for token, after in pairwise(tokens):
        literal = token.token_type in (TokenType.NUMBER, TokenType.STRING, TokenType.RAW_STRING)
        if literal and after.token_type == TokenType.VAR and after.start == token.end + 1:
            raise SqlError("Syntax error: Missing whitespace between literal and alias", *position(sql, after.start))
    kinds = [TokenType.L_PAREN, *(token.token_type for token in tokens)]
    for token, before in zip(tokens, kinds, strict=False):
        first = token.token_type == TokenType.FROM and before == TokenType.L_PAREN
        if token.token_type == TokenType.DCOLON or (token.token_type == TokenType.EQ and token.text == "=="):
            raise SqlError(f'Syntax error: Unexpected "{token.text}"', *position(sql, token.start))
        if first or token.token_type == TokenType.PIPE_GT:
            raise SqlError("the pipe syntax is not supported: begin with SELECT", *position(sql, token.start))


def read_literals(tokens: Sequence[Token], sql: str) -> None:
    """Give each text in quotes the value that it has in BigQuery. The tokenizer takes escapes that are errors there."""
    for token in tokens:
        if token.token_type in (TokenType.STRING, TokenType.RAW_STRING):
            try:
                token.text = text_of_literal(sql[token.start : token.end + 1])
            except ValueError as error:
                raise SqlError(str(error), *position(sql, token.start)) from None


def words_of(node: exp.Expr, sql: str) -> str:
    """The words of the query that a node was parsed from, or as many of them as a message has room for."""
    parts = [part.meta for part in node.walk() if "start" in part.meta]
    if not parts:
        return node.sql(dialect="bigquery")
    written = " ".join(sql[min(part["start"] for part in parts) : max(part["end"] for part in parts) + 1].split())
    return written if len(written) <= 40 else f"{written[:40]}…"


def selected_columns(query: Query) -> list[str]:
    """The names of the columns that a query returns; "*" where they depend on its tables. Raises DataError."""
    with query.positioned_errors():
        tree = parse(query.text)
        if not isinstance(tree, exp.Query):
            raise SqlError("it is a statement that changes something, and should be a query", 1, 1)
        return tree.named_selects


def word_left_out(tree: exp.Expr, sql: str) -> Token | None:
    """A name, text or number of the query that the tree has not: the parser can drop what it takes for something else.

    Words of the language have no node of their own, nor have parameters, and the numbers in INTERVAL 3 DAY and [OFFSET(1)].
    """
    starts = {node.meta["start"] for node in tree.walk() if "start" in node.meta}
    tokens = GoogleSQL().tokenize(sql)
    for number, token in enumerate(tokens):
        before = [each.text.upper() for each in tokens[max(number - 2, 0) : number]]
        known = token.token_type == TokenType.VAR and (token.text.upper() in WORDS or before[-1:] == ["@"])
        counted = token.token_type == TokenType.NUMBER and {*before} & {"INTERVAL", "[", *POSITIONS}
        if token.token_type in NAMES_AND_VALUES and token.start not in starts and not known and not counted:
            return token
    return None


def position(sql: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a character."""
    return sql.count("\n", 0, offset) + 1, offset - sql.rfind("\n", 0, offset)


def place(node: exp.Expr, sql: str) -> tuple[int, int]:
    """Line and column of a node: where its first word is that the parser knows the place of, or that of its parent."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    if starts:
        return position(sql, min(starts))
    return place(node.parent, sql) if node.parent else (1, 1)


def call_place(node: exp.Expr, sql: str) -> tuple[int, int]:
    """Line and column of a node's own word, such as the name of a function, else of its first."""
    return position(sql, node.meta["start"]) if "start" in node.meta else place(node, sql)


def unused_arguments(node: exp.Expr, used: tuple[str, ...]) -> list[str]:
    """The parts of a node, such as clauses of a SELECT, that are there and not among those that the caller reads."""
    return [name for name, value in node.args.items() if value not in (None, False, []) and name not in used]


def position_of(word: str, sql: str) -> tuple[int, int]:
    """Line and column, from 1, of the first token of GoogleSQL that is this word, such as body or @n; else (1, 1)."""
    tokens = sqlglot.tokenize(sql, read="bigquery")
    for before, token in pairwise([tokens[0], *tokens]):
        if token.text.lower() == word.lower().removeprefix("@") and (before.text == "@" or not word.startswith("@")):
            return token.line, token.col - len(word) + 1
    return 1, 1
