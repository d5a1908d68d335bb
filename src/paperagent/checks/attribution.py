"""Claims that name the paper they are about, where its own sentence says "we" or nothing at all.

A model is asked to say which paper a claim is about: "Tindersift: latency drops to 1.6 seconds." The
sentence it cites says "latency drops to 1.6 seconds". That the sentence is that paper's is known, not
claimed, so the claim may be checked without the name. Pure; no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LONGEST_NAME = 4
"""Words before the colon of a title that are still a name."""
_AUTHORS_SPEAK = re.compile(r"\W*(?:\w+(?:\s\w+)?,\s+)?(?:we|our|this|the\s+proposed)\b", re.IGNORECASE)


def own_name(title: str) -> str | None:
    """Return the name that a title gives its work (``Tindersift`` of ``Tindersift: Filtering …``), if any."""
    head, colon, _ = title.partition(":")
    name = " ".join(head.split())
    return name if colon and name and len(name.split()) <= _LONGEST_NAME else None


def without_name(claim: str, title: str, sentences: Sequence[str]) -> Iterator[str]:
    """Yield the claim in the ways in which ``sentences``, all of the paper ``title``, may say it.

    Only the name of the paper itself is left out, and only where it says whose statement this
    is or stands for the authors' "we": never where a sentence names something else in its place.
    """
    for name in filter(None, (own_name(title), " ".join(title.split()))):
        own = re.escape(name)
        led = re.match(rf"(?:In\s+)?[\"“‘']?{own}[\"”’']?\s*(?:[:,–—-])\s+(?=\S)", claim)
        if led:
            rest = claim[led.end() :]
            yield rest[0].upper() + rest[1:]
        said = re.sub(rf"\b([Tt]he authors) of [\"“‘']?{own}[\"”’']?", r"\1", claim)
        said = re.sub(rf"\b([Tt]he) {own}(?=\s[a-z])", r"\1", said)
        if said != claim:
            yield said
        if re.match(rf"{own}\s+[a-z]", claim) and all(map(_AUTHORS_SPEAK.match, sentences)):
            yield f"It{claim[len(name) :]}"
