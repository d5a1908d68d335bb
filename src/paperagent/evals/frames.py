"""Ways in which a claim can turn a true sentence over without changing a word of it.

A mutation (`mutations`) changes the sentence; a frame puts something around it, takes a cautious
frame away, or splices two sentences. Each frame maps a sentence to (claim, evidence), which a check
must not call supported. The forms are written apart from the word lists of the checks. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

FramedClaim = tuple[str, list[str]]
"""A claim and the sentences that it cites."""


def _lower(sentence: str) -> str:
    """Return a sentence as it continues another, without its full stop."""
    head = sentence.split(maxsplit=1)[0]
    keep = not head.isalpha() or not head[1:].islower()
    return (sentence if keep else sentence[0].lower() + sentence[1:]).rstrip(".!? ")


def _around(forms: str) -> tuple[Callable[[str], str], ...]:
    """Return a function a line of ``forms``; ``S`` stands for the sentence, ``s`` for it in mid-sentence."""

    def filled(form: str) -> Callable[[str], str]:
        return lambda sentence: form.replace("<S>", sentence.rstrip(".!? ")).replace("<s>", _lower(sentence))

    return tuple(filled(line.strip()) for line in forms.strip().splitlines())


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
"""Of the evidence: the claim is the sentence without them."""


def _spliced(one: str, other: str) -> Iterator[str]:
    """Yield the two sentences cut in the middle and joined in ten ways."""
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
    """Yield each kind of frame with its cases: every sentence in every form; the next one for splices."""
    for kind, forms in FRAMES.items():
        yield kind, [(form(s), [s]) for s in sentences for form in forms]
    yield "aim as finding", [(s, [form(s)]) for s in sentences for form in AIMS]
    pairs = zip(sentences[::2], sentences[1::2], strict=False)
    yield "splice", [(claim, [one, other]) for one, other in pairs for claim in _spliced(one, other)]
