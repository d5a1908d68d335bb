"""Give each number of a text what stands around it: scale, unit and comparison mark."""

from __future__ import annotations

from paperagent.verification import numbers
from paperagent.verification.cues import NEGATIONS
from paperagent.verification.values import Token

_DURATIONS = frozenset("second minute hour day week month year percent".split())
"""Nouns before which *one* is a number."""


def attach(tokens: list[Token]) -> None:
    """Give each number the scale and unit behind it and the mark before it; share units in lists."""
    for position, token in enumerate(tokens):
        if token.lower == "one" and position + 1 < len(tokens) and tokens[position + 1].lower in _DURATIONS:
            token.kind, token.number = "number", numbers.Number(1.0, text=token.text)
        number = token.number
        if number is None:
            continue
        if number.text[:1].isalpha() and position + 1 < len(tokens):
            _join_spelled(tokens, position)
        _take_behind(tokens, position, number)
        if not number.mark:
            _take_before(tokens, position, number)
        token.stem = f"#{number.value:g}"
    _share_units(tokens)
    tokens[:] = [t for t in tokens if t.index >= 0]
    for index, token in enumerate(tokens):
        token.index = index


def _join_spelled(tokens: list[Token], position: int) -> None:
    """Read ``twenty five`` as one number."""
    following = tokens[position + 1]
    number, other = tokens[position].number, following.number
    if (
        number
        and other
        and number.value >= 20
        and number.value % 10 == 0
        and other.value < 10
        and following.text.isalpha()
    ):
        number.value += other.value
        _drop(following)


def _take_behind(tokens: list[Token], position: int, number: numbers.Number) -> None:
    for offset in (1, 2):
        if position + offset >= len(tokens):
            return
        token = tokens[position + offset]
        if token.index < 0:
            continue
        if token.gap == "(" and offset == 1:
            _take_behind_bracket(tokens, position, number)
        if token.clause != tokens[position].clause:
            return
        if token.lower in numbers.SCALES and len(token.lower) > 1 and not number.unit:
            number.value *= numbers.SCALES[token.lower]
            _drop(token)
            continue
        long_unit = len(token.lower) > 1 or token.lower in "%x×"
        unit = numbers.UNITS.get(token.lower) if long_unit else None
        if unit and (not number.unit or {number.unit, unit} == {"%", "points"}):
            number.unit = unit
            _drop(token)
        return


def _take_behind_bracket(tokens: list[Token], position: int, number: numbers.Number) -> None:
    """Read the unit of ``3.0 (0.3 to 5.7) mm``."""
    for token in tokens[position + 1 : position + 9]:
        if token.gap == ")":
            if not number.unit and len(token.lower) > 1:
                number.unit = numbers.UNITS.get(token.lower, "")
            return


def _drop(token: Token) -> None:
    """Take a token out of the comparison: its meaning moved into the number before it."""
    token.kind, token.index, token.number = "function", -1, None
    token.lower = token.stem = ""


def _take_before(tokens: list[Token], position: int, number: numbers.Number) -> None:
    before = [t for t in tokens[max(0, position - 4) : position] if t.index >= 0]
    words = tuple(t.lower for t in before)
    for cue, mark in numbers.MARK_WORDS:
        if words[-len(cue) :] == cue:
            number.mark = mark
            for token in before[-len(cue) :]:
                if token.kind != "function":
                    token.kind, token.number = "function", None
                if token.lower in NEGATIONS:  # "no more than" denies nothing
                    token.lower = token.stem = ""
            return


def _share_units(tokens: list[Token]) -> None:
    """Let ``5 and 7%`` and ``2-3x`` give the unit to both numbers."""
    following = -1
    for position in range(len(tokens) - 1, -1, -1):
        number = tokens[position].number
        if number is None:
            continue
        if following >= 0 and not number.unit and _listed(tokens[position + 1 : following + 1]):
            unit = tokens[following].number.unit  # type: ignore[union-attr]  # a number stands at `following`
            number.unit = "" if unit == "$" else unit
        following = position


def _listed(behind: list[Token]) -> bool:
    """Tell whether the tokens from behind a number to the next number only link the two."""
    *between, following = behind
    live = [t for t in between if t.index >= 0]
    linked = len(live) == 1 and live[0].lower in ("and", "or", "to", "versus")
    return linked or (not live and following.gap in ("", ",", "-"))
