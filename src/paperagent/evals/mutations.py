"""Ways in which a sentence can be made to say something else, one small change each.

For measuring what the checks see (`selftest`, `eval/checks.py`). The words that are put in are
listed here, apart from the word lists of the checks: a check must not be measured with its own
words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Mutation = Callable[[str, random.Random], str | None]

ANTONYMS = dict(
    pair.split("/")
    for pair in """increase/decrease increases/decreases increased/decreased increasing/decreasing
    improve/degrade improves/degrades improved/degraded improving/degrading higher/lower
    high/low better/worse best/worst larger/smaller large/small faster/slower fast/slow
    more/less outperforms/underperforms outperform/underperform strong/weak stronger/weaker
    effective/ineffective efficient/inefficient easy/difficult simple/complex early/late
    positive/negative gains/losses success/failure accept/reject includes/excludes
    maximum/minimum before/after above/below always/never accurate/inaccurate robust/fragile
    stable/unstable sparse/dense global/local long/short cheap/expensive rich/poor new/old
    upper/lower internal/external static/dynamic linear/nonlinear supervised/unsupervised
    online/offline activates/inhibits promotes/suppresses induces/prevents reduces/increases
    reduced/increased enhances/impairs enhanced/impaired greater/smaller rapidly/slowly
    significant/insignificant significantly/insignificantly similar/different common/rare
    frequently/rarely first/last consistent/inconsistent explicit/implicit
    reliable/unreliable sufficient/insufficient complete/incomplete possible/impossible
    superior/inferior minimal/maximal maximize/minimize minimizing/maximizing
    reduce/increase reducing/increasing enables/prevents allows/prevents
    supports/contradicts preserving/destroying mitigate/exacerbate synthetic/real
    automatic/manual public/private shallow/deep narrow/broad acute/chronic
    activation/inhibition upregulated/downregulated presence/absence mild/severe
    relevant/irrelevant known/unknown balanced/imbalanced continuous/discrete
    forward/backward safe/unsafe correct/incorrect""".split()
)
HEDGES = (
    (r"\bmay (?=[a-z])|\bmight (?=[a-z])|\bcould (?=[a-z])", ""),
    (r"\b(?:potentially|possibly|perhaps|likely|probably|presumably|apparently) ", ""),
    (r"\b(?:often|usually|typically|generally|sometimes|frequently) ", ""),
    (r"\b(?:nearly|almost|approximately|roughly|about) (?=\d)", ""),
    (r"\b(?:results|findings|data|experiments|analyses) suggest that\b", "results prove that"),
    (r"\b(?:suggests?|suggesting) that\b", "shows that"),
    (r"\b(?:appears?|seems?) to be\b", "is"),
    (r"\btends? to\b ", ""),
    (r"\bsome (?=[a-z])", "all "),
    (r"\bin some cases,? ", ""),
)
_BE = "is|are|was|were|can|could|may|will|should|does|do|did|has|have"
_VERBS = "outperform|achieve|improve|reduce|require|provide|enable|show|demonstrate|increase|support"
NEGATED = (
    (rf"\b({_BE}) (?=[a-z]+(?:ed|s|ly|e|en|t)?\b)", r"\1 not "),
    (rf"\b({_VERBS})s\b", r"does not \1"),
    (rf"\b({_VERBS})\b", r"do not \1"),
)
DENIED = (
    (rf"\b({_BE}) not\b", r"\1"),
    (r"\bcannot\b", "can"),
    (r"\bwithout\b", "with"),
    (r"\bno (?=[a-z])", "a "),
    (r"\bnever\b ", ""),
    (r"\b(?:fails?|failed|unable) to\b ", ""),
    (r"\bneither\b", "both"),
)
REWORDED = (
    (r"\b[Ww]e (?=[a-z])", "the authors "),
    (r"\b[Oo]ur (?=[a-z])", "their "),
    (r"^(?:In this (?:paper|work|study), |Here, |However, |Moreover, |Finally, )", ""),
    (r"^We (?:show|find|found) that ", ""),
    (r"\bshows? that\b|\bshowed that\b", "demonstrated that"),
    (r"\bin order to\b", "to"),
    (r"\b(\d+(?:\.\d+)?)%", r"\1 percent"),
    (r"\btwo\b", "2"),
    (r"\bthree\b", "3"),
    (r"\bfour\b", "4"),
    (r"\bwhile\b", "whereas"),
    (r"\balthough\b", "though"),
    (r"\blarge language models?\b", "LLMs"),
    (r"\bfor example\b", "for instance"),
    (r"\bapproximately (?=\d)", "about "),
    (r"\butili[sz]es?\b", "uses"),
    (r" \([A-Z]{2,}\)", ""),
    (r", respectively(?=[.,;])", " respectively"),
)
"""Changes of wording that change no meaning."""
NUMBER = re.compile(r"(?<![\w.^-])\d+(?:[.,]\d+)*(?![\w^]|[.,]\d|-[A-Za-z])")
WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
FUNCTION = frozenset(
    """that this with from which their these those have been were into than then also such both each
    when where while they them between through during using under over only more most some other
    than does because""".split()
)


def change_number(sentence: str, chance: random.Random) -> str | None:
    """Put another number of the same form in one number's place."""
    found = list(NUMBER.finditer(sentence))
    if not found:
        return None
    match = chance.choice(found)
    value = match[0].replace(",", "")
    decimals = len(value.partition(".")[2]) if value.count(".") == 1 else 0
    if value.count(".") > 1:
        return None
    new = float(value)
    while f"{new:.{decimals}f}" == f"{float(value):.{decimals}f}":
        new = chance.choice([float(value) * chance.uniform(0.3, 2.5), float(value) + chance.randint(1, 9),
                             float(value) + 10.0**-decimals])  # fmt: skip
    return sentence[: match.start()] + f"{new:.{decimals}f}" + sentence[match.end() :]


def swap_numbers(sentence: str, chance: random.Random) -> str | None:
    """Exchange two different numbers."""
    found = list(NUMBER.finditer(sentence))
    if len({m[0] for m in found}) < 2:
        return None
    one, other = sorted(chance.sample(found, 2), key=lambda m: m.start())
    return None if one[0] == other[0] else _exchange(sentence, one, other)


def add_negation(sentence: str, chance: random.Random) -> str | None:
    """Deny one verb, or the whole sentence."""
    if chance.random() < 0.2:
        return f"It is not true that {sentence[0].lower()}{sentence[1:]}"
    return _one_of(sentence, NEGATED, chance)


def remove_negation(sentence: str, chance: random.Random) -> str | None:
    """Take one negation out."""
    return _one_of(sentence, DENIED, chance)


def put_antonym(sentence: str, chance: random.Random) -> str | None:
    """Put one word's opposite in its place."""
    both = ANTONYMS | {b: a for a, b in ANTONYMS.items()}
    found = [m for m in re.finditer(r"[A-Za-z]+", sentence) if m[0] in both]
    if not found:
        return None
    match = chance.choice(found)
    return sentence[: match.start()] + both[match[0]] + sentence[match.end() :]


def drop_hedge(sentence: str, chance: random.Random) -> str | None:
    """Take one hedge out, or put certainty in its place."""
    return _one_of(sentence, HEDGES, chance)


def reword(sentence: str, chance: random.Random) -> str | None:
    """Say the same in slightly other words: one or two of `REWORDED`."""
    found = [(pattern, new) for pattern, new in REWORDED if re.search(pattern, sentence)]
    for pattern, new in chance.sample(found, min(2, len(found))):
        sentence = re.sub(pattern, new, sentence, count=1)
    return sentence[:1].upper() + sentence[1:] if found else None


def swap_words(sentence: str, chance: random.Random) -> str | None:
    """Exchange two content words anywhere in the sentence."""
    found = [m for m in WORD.finditer(sentence) if m[0].lower() not in FUNCTION]
    if len(found) < 4:
        return None
    one, other = sorted(chance.sample(found, 2), key=lambda m: m.start())
    return None if one[0].lower() == other[0].lower() else _exchange(sentence, one, other)


def swap_sides(sentence: str, chance: random.Random) -> str | None:
    """Exchange the nearest content words on both sides of a comparison."""
    del chance
    cue = re.search(
        r"\b(?:outperforms?|surpass(?:es)?|exceeds?|than|over|versus|compared (?:to|with))\b", sentence
    )
    if not cue:
        return None
    left = [m for m in WORD.finditer(sentence, 0, cue.start()) if m[0].lower() not in FUNCTION]
    right = [m for m in WORD.finditer(sentence, cue.end()) if m[0].lower() not in FUNCTION]
    return _exchange(sentence, left[-1], right[0]) if left and right and left[-1][0] != right[0][0] else None


MUTATIONS: dict[str, Mutation] = {
    "number changed": change_number,
    "numbers swapped": swap_numbers,
    "negation added": add_negation,
    "negation removed": remove_negation,
    "antonym": put_antonym,
    "hedge removed": drop_hedge,
    "words swapped": swap_words,
    "sides swapped": swap_sides,
}


def _exchange(sentence: str, one: re.Match[str], other: re.Match[str]) -> str:
    return (
        sentence[: one.start()]
        + other[0]
        + sentence[one.end() : other.start()]
        + one[0]
        + sentence[other.end() :]
    )


def _one_of(sentence: str, rules: Sequence[tuple[str, str]], chance: random.Random) -> str | None:
    found = [(m, rule) for pattern, rule in rules for m in re.finditer(pattern, sentence)]
    if not found:
        return None
    match, rule = chance.choice(found)
    return sentence[: match.start()] + match.expand(rule) + sentence[match.end() :]
