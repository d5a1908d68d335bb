# ruff: noqa: E501 - a rule is easier to read on one line
"""Find a period of time in English words, such as "this week", "since May" or "in June 2026"."""

from __future__ import annotations

import datetime as dt
import re

Period = tuple[dt.date | None, dt.date | None]
"""The first and the last day, inclusive; None if the period has no start or no end."""

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_YEAR = r"(?:19|20)\d\d"
_POINT = (
    rf"(?:{_YEAR}-\d\d?-\d\d?|{_YEAR}-\d\d|{_MONTH}\.? \d\d?(?:st|nd|rd|th)?,? {_YEAR}|{_MONTH}\.?,? {_YEAR}"
    rf"|{_MONTH}\.? \d\d?(?:st|nd|rd|th)?|\d\d?(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? {_YEAR})?"
    rf"|{_MONTH}|{_YEAR}|yesterday|today|(?:last|this) (?:week|month|year)|(?:last )?(?:{'|'.join(_DAYS)}))"
)
_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "few": 3,
    "couple of": 2,
}  # fmt: skip
_COUNT = rf"(?:\d{{1,3}}|{'|'.join(_NUMBERS)})"
_VERB = (
    r"(?:(?:that |which )?(?:have |has )?(?:were |was |are |is |been |got )?(?:published|posted|submitted|listed|added|released|dated|written|uploaded"
    r"|ingested|indexed|(?:came|come|coming) (?:in|out)|arrived|appeared|appearing) )?"
)
PERIOD = (
    rf"{_VERB}(?:(?:from |in |of |for |during |over |within )?(?:the )?"
    rf"(?:(?:last|past|previous) (?:{_COUNT} )?(?:days?|weeks?|months?|years?)|this (?:week|month|year))"
    rf"|(?:from |on )?(?:today|yesterday)|between {_POINT} and {_POINT}|from {_POINT} (?:to|until) {_POINT}"
    rf"|(?:since|after|before|until|till|in|from|during|on|as of) {_POINT})"
)
"""A regular expression for a period in lower-case text."""
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_LEADING = re.compile(rf"^{_VERB}(?:(?:from|in|of|for|during|over|within|on|as of) )?(?:the )?")


def parse_period(text: str, today: dt.date) -> Period | None:
    """Parse a text that matches `PERIOD`; return None if its date does not exist.

    A month or a day without a year is the latest one that is not after ``today``, and a day of the week the
    last one before it. A week begins on Monday.
    """
    text = text.lower().strip()
    try:
        return _parse(text, today)
    except ValueError:  # such as 31 June
        return None


def _parse(text: str, today: dt.date) -> Period | None:
    if match := re.search(rf"(?:between|from) ({_POINT}) (?:and|to|until) ({_POINT})$", text):
        return _point(match[1], today)[0], _point(match[2], today)[1]
    if match := re.search(rf"(?:^|\s)(since|after|before|until|till) ({_POINT})$", text):
        first, last = _point(match[2], today)
        day = dt.timedelta(days=1)
        return {
            "since": (first, None),
            "after": (last + day, None),
            "before": (None, first - day),
        }.get(match[1], (None, last))
    if match := re.search(rf"(?:last|past|previous) ({_COUNT}) (day|week|month|year)s?$", text):
        count = int(match[1]) if match[1].isdigit() else _NUMBERS[match[1]]
        return today - dt.timedelta(days=count * _UNIT_DAYS[match[2]] - 1), None
    period = _LEADING.sub("", text)
    if match := re.fullmatch(r"(?:past|previous) (week|month|year)", period):
        return today - dt.timedelta(days=_UNIT_DAYS[match[1]] - 1), None
    return _point(period, today) if re.fullmatch(_POINT, period) else None


def _point(text: str, today: dt.date) -> tuple[dt.date, dt.date]:  # noqa: PLR0911 - one for each form
    """Return the first and the last day of a date, month, year or week."""
    if text in ("today", "yesterday"):
        day = today - dt.timedelta(days=text == "yesterday")
        return day, day
    if (weekday := text.removeprefix("last ")) in _DAYS:  # the last one before today
        day = today - dt.timedelta(days=(today.weekday() - _DAYS.index(weekday) - 1) % 7 + 1)
        return day, day
    if match := re.fullmatch(r"(last|this) (week|month|year)", text):
        return _calendar(match[2], today, back=match[1] == "last")
    if match := re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", text):
        day = dt.date(int(match[1]), int(match[2]), int(match[3]))
        return day, day
    if match := re.fullmatch(r"(\d{4})-(\d\d)", text):
        return _month(int(match[1]), int(match[2]))
    if re.fullmatch(_YEAR, text):
        return dt.date(int(text), 1, 1), dt.date(int(text), 12, 31)
    name, year, number = (re.search(p, text) for p in (_MONTH, _YEAR, r"\b\d\d?(?=\b|st|nd|rd|th)"))
    assert name is not None
    month = next(n for n, full in enumerate(_MONTHS, start=1) if full.startswith(name[0][:3]))
    if number:
        day = dt.date(int(year[0]) if year else today.year, month, int(number[0]))
        day = day.replace(year=day.year - 1) if not year and day > today else day
        return day, day
    return _month(int(year[0]) if year else today.year - (month > today.month), month)


def _calendar(unit: str, today: dt.date, *, back: bool) -> tuple[dt.date, dt.date]:
    if unit == "week":
        monday = today - dt.timedelta(days=today.weekday() + 7 * back)
        return monday, monday + dt.timedelta(days=6)
    if unit == "month":
        day = today.replace(day=1) - dt.timedelta(days=back)
        return _month(day.year, day.month)
    year = today.year - back
    return dt.date(year, 1, 1), dt.date(year, 12, 31)


def _month(year: int, month: int) -> tuple[dt.date, dt.date]:
    following = dt.date(year + month // 12, month % 12 + 1, 1)
    return dt.date(year, month, 1), following - dt.timedelta(days=1)
