"""Read numbers with the parts that determine their meaning: comparison mark, sign, scale, unit.

Two numbers agree when value, unit and mark agree; `compare` reports how they differ.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_SMALL = dict(
    zip(
        """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""".split(),
        range(2, 21),
        strict=True,
    )
)
_TENS = dict(zip("thirty forty fifty sixty seventy eighty ninety".split(), range(30, 100, 10), strict=True))
SPELLED: dict[str, float] = {**_SMALL, **_TENS}
"""Number words from *two* on; *one* is mostly a pronoun."""
SCALES: dict[str, float] = {
    "hundred": 1e2, "thousand": 1e3, "thousands": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "m": 1e6,
    "mn": 1e6, "billion": 1e9, "billions": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12, "t": 1e12,
}  # fmt: skip
MULTIPLES: dict[str, float] = {
    **dict.fromkeys("double doubles doubled doubling twice twofold".split(), 2),
    **dict.fromkeys("triple triples tripled tripling thrice threefold".split(), 3),
    "quadruple": 4,
    "quadrupled": 4,
    "fourfold": 4,
    "fivefold": 5,
    "tenfold": 10,
}
"""Words that are a number and its unit (times)."""

UNITS: dict[str, str] = {
    spelling: line.split()[0]
    for line in """% percent percents
        points pp point pts
        times x × fold folds
        $ dollar dollars usd
        € euro euros
        £
        ms millisecond milliseconds
        s sec secs second seconds
        min mins minute minutes
        h hr hrs hour hours
        day d days
        week weeks wk
        month months
        year y yr yrs years
        kB kb
        MB mb
        GB gb
        TB tb
        dB db
        dBA dba
        nm
        mm
        cm
        km
        μm um µm
        μs us
        mg
        kg
        g
        mL ml
        L l
        Hz hz
        kHz khz
        MHz mhz
        GHz ghz
        fps
        W w
        kW kw
        °C °c c
        bit bits
        flops""".splitlines()
    for spelling in line.split()
}
"""Spelling → unit. Single letters only count directly after the digits."""

MARK_WORDS: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    (tuple(phrase.split()), line.split(":")[0].strip())
    for line in """>:more than,greater than,higher than,larger than,longer than,in excess of,upwards of
        >:exceeding,exceeds,exceed,exceeded,above,beyond,surpassing,surpasses
        over:over
        under:under
        <:less than,fewer than,lower than,smaller than,shorter than,below
        ≥:at least,no less than,no fewer than,not less than,a minimum of,as few as,as low as,as little as
        ≤:up to,at most,no more than,a maximum of,as many as,as much as,as high as
        ~:an estimated,close to,about,around,approximately,roughly,some,circa,nearly,almost
        ~:approaching,approx""".splitlines()
    for phrase in line.split(":")[1].split(",")
)
MARK_WORDS = tuple(sorted(MARK_WORDS, key=lambda m: -len(m[0])))
"""Words directly before a number → its mark, the longest first.

``over`` and ``under`` may also mean *across* and *given*."""

PATTERN = (
    r"(?P<mark>[<>≤≥~±=]\s?)?(?P<sign>(?<![\w)\]%])[+-])?(?P<currency>[$€£])?"
    r"(?P<value>10\^[-+]?\d{1,3}(?!\d)|\d+(?:\.\d+)?|(?<![\w)])\.\d+)"
    r"(?:(?:\s?[×x]\s?10\s?\^\s?\(?|e)(?P<power>[+-]?\d{1,3}(?!\d))\)?)?"
    r"(?P<suffix>\s?%|\s?[x×](?![\w])|(?i:ms|mins?|fps|kb|mb|gb|tb|dba?|[kmg]?hz|[mckn]m|[μµ][ms]|[mk]?g|ml|hrs?|°c)(?![\w-])"
    r"|[kKMBT](?![\w])|(?i:bn|mn)(?![\w])|[shdygWCL](?![\w-]))?"
    r"(?!\w)(?!-[A-Z])"
)
"""Pattern of a number written in digits, for use in the tokenizer's pattern."""

_OPPOSED_MARKS = {(">", "<"), (">", "≤"), ("≥", "<"), ("≥", "≤"), (">", "under"), ("over", "<"),
                  ("over", "under"), ("over", "≤"), ("≥", "under")}  # fmt: skip
_EQUAL_MARKS = {(">", "over"), ("<", "under")}
_AMBIGUOUS_MARKS = {"over", "under"}


@dataclass(slots=True)
class Number:
    """A number of a text. ``value`` is scaled (``4K`` is 4000); ``unit`` and ``mark`` may be empty."""

    value: float
    unit: str = ""
    mark: str = ""
    sign: str = ""
    text: str = ""
    decimals: int = 0


def read(match: re.Match[str]) -> Number:
    """Return the number of one match of `PATTERN`."""
    written = match["value"]
    base, _, exponent = written.partition("^")
    value = float(f"1e{exponent}" if exponent else base) * float(f"1e{match['power'] or 0}")
    unit = UNITS.get(match["currency"] or "", "")
    suffix = (match["suffix"] or "").strip()
    if suffix in SCALES or suffix.lower() in ("k", "bn", "mn"):
        value *= SCALES.get(suffix.lower(), 1.0)
    elif suffix in {"K", "M", "B", "T"}:
        value *= SCALES[suffix.lower()]
    elif suffix:
        unit = UNITS.get(suffix.lower(), suffix)
    mark = (match["mark"] or "").strip()
    decimals = len(base.partition(".")[2])
    return Number(value, unit, "" if mark == "=" else mark, match["sign"] or "", match[0].strip(), decimals)


def compare(claim: Number, source: Number) -> str | None:
    """Return how two numbers differ: ``value``, ``sign``, ``unit``, ``mark``; None if they agree."""
    if not same_value(claim, source):
        return "value"
    if ("-" in (claim.sign, source.sign)) and claim.sign != source.sign:
        return "sign"
    if _is_close(claim.value, source.value) and not same_unit(claim.unit, source.unit):
        return "unit"
    return None if same_mark(claim.mark, source.mark) else "mark"


def same_value(claim: Number, source: Number) -> bool:
    """Return whether the values agree: equal, percentage and fraction, or rounded if the mark allows it."""
    claimed, stated = claim.value, source.value
    if _is_close(claimed, stated):
        return True
    if claim.unit == "%" and not source.unit and stated <= 1 and _is_close(claimed, 100 * stated):
        return True
    if source.unit == "%" and not claim.unit and claimed <= 1 and _is_close(100 * claimed, stated):
        return True
    if claim.mark in ("~", "over", ">") and claim.decimals < source.decimals:
        near = abs(claimed - stated) <= 0.5 * 10**-claim.decimals
        return near and (claim.mark == "~" or claimed < stated)
    return False


def same_unit(claim: str, source: str) -> bool:
    """Return whether the units agree; a bare source number matches *points* and *times*."""
    return claim == source or (not source and claim in ("points", "times"))


def same_mark(claim: str, source: str) -> bool:
    """Return whether the marks agree; a claim may be vaguer (``~``) than its source, not firmer."""
    if claim == source or (claim, source) in _EQUAL_MARKS or (source, claim) in _EQUAL_MARKS:
        return True
    if (claim, source) in _OPPOSED_MARKS or (source, claim) in _OPPOSED_MARKS:
        return False
    if claim in _AMBIGUOUS_MARKS or source in _AMBIGUOUS_MARKS:
        return not claim or not source
    return claim == "~" and not source


def _is_close(a: float, b: float) -> bool:
    if not (math.isfinite(a) and math.isfinite(b)):
        return False  # too large to compare; only a quotation can support such a number
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-12)
