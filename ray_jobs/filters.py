"""SQL-like filters: `actor = 'VideoGenerator' and error like '%memory%'`, parsed and compiled to Arrow.

What a reader gets wrong: nothing is evaluated as code. The text is read by the grammar below, names must be
columns of the table, and what comes out is an expression of Arrow's. NULL is as in SQL: neither equal nor
unequal to anything, and a row counts only where the filter is true.

    filter    = term ("or" term)*
    term      = factor ("and" factor)*
    factor    = "not" factor | "(" filter ")" | test
    test      = COLUMN compare VALUE | COLUMN "is" ["not"] "null" | COLUMN ["not"] "like" TEXT
              | COLUMN ["not"] "in" "(" VALUE ("," VALUE)* ")"
    compare   = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    VALUE     = TEXT | NUMBER | "true" | "false";   TEXT = 'with '' for a quote'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from schemas.config import ConfigError, nearest

MAX_CHARACTERS = 10_000
MAX_DEPTH = 100
"""Of parentheses and `not`; a deeper filter was not typed by anybody."""
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><=|>=|<>|!=|[=<>(),])|(?P<end>$))"
)
_WORDS = frozenset(("and", "or", "not", "like", "in", "is", "null", "true", "false"))
_COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True)
class _Token:
    kind: str
    """`text`, `number`, `name`, `word`, `sign` or `end`."""
    text: str
    position: int


def compiled(text: str, schema: pa.Schema) -> pc.Expression:
    """The filter as an expression for `Table.filter` over a table of this schema.

    Raises:
        ConfigError: the text is no filter, or does not fit the columns; with the place and what would be
            right.
    """
    return _Parser(text, schema).parse()


class _Parser:
    """Recursive descent, one method a rule of the grammar."""

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self.text = text
        self.schema = schema
        self.depth = 0
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(f"a filter of {len(text)} characters; at most {MAX_CHARACTERS} are read")
        self.tokens = self._tokens()
        self.place = 0

    def parse(self) -> pc.Expression:
        found = self._filter()
        if self._next.kind != "end":
            self._fail(f"expected `and`, `or` or the end, found {self._next.text!r}")
        return found

    def _tokens(self) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self.text, position)
            if match is None:
                start = position + len(self.text[position:]) - len(self.text[position:].lstrip())
                what = (
                    "a text without its closing quote" if self.text[start] == "'" else repr(self.text[start])
                )
                self._fail(f"found {what}", start)
            kind = str(match.lastgroup)
            text = match[kind]
            position = match.end()
            if kind == "name" and text.lower() in _WORDS:
                kind, text = "word", text.lower()
            tokens.append(_Token(kind, text, match.start(str(match.lastgroup))))
        return tokens

    @property
    def _next(self) -> _Token:
        return self.tokens[self.place]

    def _take(self, *wanted: str) -> str | None:
        """The next word or sign if it is one of these, and step over it."""
        token = self._next
        if token.kind in ("word", "sign") and token.text in wanted:
            self.place += 1
            return token.text
        return None

    def _expect(self, wanted: str) -> None:
        if self._take(wanted) is None:
            self._fail(f"expected `{wanted}`, found {self._next.text or 'the end'!r}")

    def _filter(self) -> pc.Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} levels of parentheses and `not`")
        found = self._term()
        while self._take("or"):
            found = pc.or_kleene(found, self._term())
        self.depth -= 1
        return found

    def _term(self) -> pc.Expression:
        found = self._factor()
        while self._take("and"):
            found = pc.and_kleene(found, self._factor())
        return found

    def _factor(self) -> pc.Expression:
        if self._take("not"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self._fail(f"more than {MAX_DEPTH} levels of parentheses and `not`")
            found = pc.invert(self._factor())
            self.depth -= 1
            return found
        if self._take("("):
            found = self._filter()
            self._expect(")")
            return found
        return self._test()

    def _test(self) -> pc.Expression:
        token = self._next
        if token.kind != "name":
            self._fail(
                f"expected a column, found {token.text or 'the end'!r}{nearest('', self.schema.names)}"
            )
        if token.text not in self.schema.names:
            self._fail(f"no column {token.text!r}{nearest(token.text, self.schema.names)}")
        self.place += 1
        field = self.schema.field(token.text)
        column = pc.field(field.name)
        if sign := self._take(*_COMPARE):
            return _COMPARE[sign](column, self._value(field))
        if self._take("is"):
            negated = self._take("not")
            self._expect("null")
            return column.is_valid() if negated else column.is_null()
        negated = self._take("not")
        if self._take("like"):
            if field.type != pa.string():
                self._fail(f"{field.name} is no text ({field.type}), so it is `like` nothing", token.position)
            found = pc.match_like(column, self._pattern(field))
        elif self._take("in"):
            self._expect("(")
            values = [self._value(field)]
            while self._take(","):
                values.append(self._value(field))
            self._expect(")")
            matches = [pc.equal(column, value) for value in values]  # `is_in` takes a null for a value
            found = matches[0]
            for match in matches[1:]:
                found = pc.or_kleene(found, match)
        else:
            self._fail(f"expected a comparison after {field.name}, found {self._next.text or 'the end'!r}")
        return pc.invert(found) if negated else found

    def _pattern(self, field: pa.Field) -> str:
        """A text as SQL's `like` takes it, where a backslash is a backslash."""
        return str(self._value(field).as_py()).replace("\\", "\\\\")

    def _value(self, field: pa.Field) -> pa.Scalar:
        token = self._next
        self.place += 1
        value: Any
        if token.kind == "text":
            value = token.text[1:-1].replace("''", "'")
        elif token.kind == "number":
            value = int(token.text) if re.fullmatch(r"[+-]?\d+", token.text) else float(token.text)
        elif token.kind == "word" and token.text in ("true", "false"):
            value = token.text == "true"
        else:
            hint = " (a text stands in single quotes)" if token.kind == "name" else ""
            self._fail(
                f"expected a value for {field.name}, found {token.text or 'the end'!r}{hint}", token.position
            )
        return self._scalar(field, value, token)

    def _scalar(self, field: pa.Field, value: Any, token: _Token) -> pa.Scalar:
        kind = field.type
        number = isinstance(value, int | float) and not isinstance(value, bool)
        try:
            if pa.types.is_timestamp(kind) and isinstance(value, str):
                when = datetime.fromisoformat(value)  # one without a zone is meant in UTC
                return pa.scalar(when if when.tzinfo else when.replace(tzinfo=UTC)).cast(kind)
            if pa.types.is_integer(kind) and number:
                return pa.scalar(value)  # 2.5 may stand beside an integer column
            if (
                (pa.types.is_string(kind) and isinstance(value, str))
                or (pa.types.is_floating(kind) and number)
                or (pa.types.is_boolean(kind) and isinstance(value, bool))
            ):
                return pa.scalar(value, kind)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            self._fail(f"{token.text} is no value for {field.name}: {error}", token.position)
        self._fail(f"{field.name} is {kind}, found {token.text}", token.position)

    def _fail(self, message: str, position: int | None = None) -> NoReturn:
        place = self._next.position if position is None else position
        raise ConfigError(f"filter, character {place + 1}: {message}\n  {self.text}\n  {' ' * place}^")
