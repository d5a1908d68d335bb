"""Mutations of true sentences, for measuring what the checks and scorers detect.

`MUTATIONS` change one detail of a sentence; `framed` embeds the unchanged sentence in a frame, removes a
cautious frame, or splices two sentences. Used by `selftest`, ``eval/checks.py`` and ``eval/claims.py``. The
words and phrases do not come from the word lists of the checks, because a check must not be measured with its
own words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

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
"""Rewordings that keep the meaning."""
NUMBER = re.compile(r"(?<![\w.^-])\d+(?:[.,]\d+)*(?![\w^]|[.,]\d|-[A-Za-z])")
WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
FUNCTION_WORDS = frozenset(
    """that this with from which their these those have been were into than then also such both each
    when where while they them between through during using under over only more most some other
    than does because""".split()
)


def change_number(sentence: str, chance: random.Random) -> str | None:
    """Replace one number with another of the same form."""
    numbers = list(NUMBER.finditer(sentence))
    if not numbers:
        return None
    match = chance.choice(numbers)
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
    """Swap two different numbers."""
    numbers = list(NUMBER.finditer(sentence))
    if len({m[0] for m in numbers}) < 2:
        return None
    one, other = sorted(chance.sample(numbers, 2), key=lambda m: m.start())
    return None if one[0] == other[0] else _swap(sentence, one, other)


def add_negation(sentence: str, chance: random.Random) -> str | None:
    """Negate one verb or the whole sentence."""
    if chance.random() < 0.2:
        return f"It is not true that {sentence[0].lower()}{sentence[1:]}"
    return _apply_one(sentence, NEGATED, chance)


def remove_negation(sentence: str, chance: random.Random) -> str | None:
    """Remove one negation."""
    return _apply_one(sentence, DENIED, chance)


def put_antonym(sentence: str, chance: random.Random) -> str | None:
    """Replace one word with its antonym."""
    both = ANTONYMS | {b: a for a, b in ANTONYMS.items()}
    words = [m for m in re.finditer(r"[A-Za-z]+", sentence) if m[0] in both]
    if not words:
        return None
    match = chance.choice(words)
    return sentence[: match.start()] + both[match[0]] + sentence[match.end() :]


def drop_hedge(sentence: str, chance: random.Random) -> str | None:
    """Remove one hedge, or replace it with certainty."""
    return _apply_one(sentence, HEDGES, chance)


def reword(sentence: str, chance: random.Random) -> str | None:
    """Paraphrase with one or two of the `REWORDED` rules."""
    rules = [(pattern, new) for pattern, new in REWORDED if re.search(pattern, sentence)]
    for pattern, new in chance.sample(rules, min(2, len(rules))):
        sentence = re.sub(pattern, new, sentence, count=1)
    return sentence[:1].upper() + sentence[1:] if rules else None


def swap_words(sentence: str, chance: random.Random) -> str | None:
    """Swap two content words anywhere in the sentence."""
    words = [m for m in WORD.finditer(sentence) if m[0].lower() not in FUNCTION_WORDS]
    if len(words) < 4:
        return None
    one, other = sorted(chance.sample(words, 2), key=lambda m: m.start())
    return None if one[0].lower() == other[0].lower() else _swap(sentence, one, other)


def swap_sides(sentence: str, chance: random.Random) -> str | None:  # noqa: ARG001 - no choice to make
    """Swap the nearest content words on both sides of a comparison."""
    cue = re.search(
        r"\b(?:outperforms?|surpass(?:es)?|exceeds?|than|over|versus|compared (?:to|with))\b", sentence
    )
    if not cue:
        return None
    left = [m for m in WORD.finditer(sentence, 0, cue.start()) if m[0].lower() not in FUNCTION_WORDS]
    right = [m for m in WORD.finditer(sentence, cue.end()) if m[0].lower() not in FUNCTION_WORDS]
    return _swap(sentence, left[-1], right[0]) if left and right and left[-1][0] != right[0][0] else None


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


def _swap(sentence: str, one: re.Match[str], other: re.Match[str]) -> str:
    return (
        sentence[: one.start()]
        + other[0]
        + sentence[one.end() : other.start()]
        + one[0]
        + sentence[other.end() :]
    )


def _apply_one(sentence: str, rules: Sequence[tuple[str, str]], chance: random.Random) -> str | None:
    matches = [(m, rule) for pattern, rule in rules for m in re.finditer(pattern, sentence)]
    if not matches:
        return None
    match, rule = chance.choice(matches)
    return sentence[: match.start()] + match.expand(rule) + sentence[match.end() :]


FramedClaim = tuple[str, list[str]]
"""A claim and the sentences it cites."""


def _lower(sentence: str) -> str:
    """Return a sentence for use in mid-sentence: first letter in lower case, no full stop."""
    head = sentence.split(maxsplit=1)[0]
    is_name = not head.isalpha() or not head[1:].islower()
    return (sentence if is_name else sentence[0].lower() + sentence[1:]).rstrip(".!? ")


def _around(forms: str) -> tuple[Callable[[str], str], ...]:
    """Return a function for each line of ``forms``.

    ``<S>`` stands for the sentence, and ``<s>`` for the sentence as used in mid-sentence.
    """

    def fill(form: str) -> Callable[[str], str]:
        return lambda sentence: form.replace("<S>", sentence.rstrip(".!? ")).replace("<s>", _lower(sentence))

    return tuple(fill(line.strip()) for line in forms.strip().splitlines())


DENYING = _around(
    """
    It is false that <s>.
    It is a myth that <s>.
    Contrary to what was hoped, it is not the case that <s>.
    There is no evidence that <s>.
    It would be wrong to say that <s>.
    The authors refute the idea that <s>.
    The study disproves the belief that <s>.
    The notion that <s> is mistaken.
    Nobody has shown that <s>.
    The results contradict the statement that <s>.
    """
)
REPORTING = _around(
    """
    Critics doubt that <s>.
    Some reviewers claim that <s>.
    It is often wrongly assumed that <s>.
    Others have argued that <s>.
    It is rumoured that <s>.
    Supposedly, <s>.
    The press reported that <s>.
    Earlier studies believed that <s>.
    Opponents of the method say that <s>.
    Google announced that <s>.
    """
)
RETRACTING = _around(
    """
    <S>, which was later retracted.
    <S>, but this did not replicate.
    <S>, a finding that has since been disproved.
    <S>, although the authors withdrew this statement.
    <S>, which later experiments contradicted.
    <S>, but the effect vanished under closer inspection.
    <S>, an artefact of a data leak.
    <S>, until a bug in the code was found.
    <S>, which turned out to be an error.
    <S>, though follow-up work overturned this.
    """
)
APPOSITIONS = _around(
    """
    <S>, a method developed by Google.
    <S>, the most cited result of the decade.
    <S>, which won the best paper award.
    <S>, a technique patented by Microsoft.
    <S>, first proposed in 1998.
    <S>, an approach inspired by ant colonies.
    <S>, funded by the European Union.
    <S>, and the code has been downloaded a million times.
    <S>, a result praised by Geoffrey Hinton.
    <S>, following a suggestion of the reviewers.
    """
)
POPULATIONS = _around(
    """
    <S> in children.
    <S> in elderly women.
    <S> among smokers.
    <S> for low-resource African languages.
    <S> in mice.
    <S> in rural hospitals.
    <S> on mobile phones.
    In adolescents, <s>.
    For Portuguese speakers, <s>.
    <S> in patients with diabetes.
    """
)
AIMS = _around(
    """
    We investigate whether <s>.
    We ask whether <s>.
    This paper examines whether <s>.
    Our goal is to test if <s>.
    It remains unclear whether <s>.
    We hypothesize that <s>.
    Future work should determine whether <s>.
    An open question is whether <s>.
    It has been argued that <s>.
    Is it true that <s>?
    """
)
"""Forms of the evidence; the claim is the bare sentence."""


def _spliced(one: str, other: str) -> Iterator[str]:
    """Yield ten sentences, each made of the head of one sentence and the tail of the other."""
    first, second = one.rstrip(".!? ").split(), other.rstrip(".!? ").split()
    for left, right in ((2, 2), (3, 2), (2, 3), (3, 4), (4, 3)):
        head, tail = first[: len(first) * left // 5], second[len(second) * (5 - right) // 5 :]
        yield " ".join([*head, *tail]) + "."
        head, tail = second[: len(second) * left // 5], first[len(first) * (5 - right) // 5 :]
        yield " ".join([*head, *tail]) + "."


FRAMES: dict[str, tuple[Callable[[str], str], ...]] = {
    "denying frame": DENYING,
    "reporting frame": REPORTING,
    "retracting frame": RETRACTING,
    "apposition": APPOSITIONS,
    "added population": POPULATIONS,
}


def framed(sentences: Sequence[str]) -> Iterator[tuple[str, list[FramedClaim]]]:
    """Yield each kind of frame with its (claim, evidence) pairs, none of which a check may call supported.

    Every sentence is put in every form; adjacent sentences are spliced.
    """
    for kind, forms in FRAMES.items():
        yield kind, [(form(s), [s]) for s in sentences for form in forms]
    yield "aim as finding", [(s, [form(s)]) for s in sentences for form in AIMS]
    pairs = zip(sentences[::2], sentences[1::2], strict=False)
    yield "splice", [(claim, [one, other]) for one, other in pairs for claim in _spliced(one, other)]
