"""Generate texts that make a careless pattern or loop quadratic: units of text × structures."""

from __future__ import annotations

import random

LENGTH = 20_000
"""Characters of a text; no abstract in a library is longer."""
_CHARACTERS = (
    *".!?,;:-_~^=|/\\'\"“”`()[]{}<>$&#%*+@ \n\ta",
    *("A", "é", "е", "1", "漢", "。", "…", "e\u0301", "\u0301", "\u200b", "×", "²", "½"),
)
_MARKUP = (
    *(
        "e.g. ",
        "A.",
        "U.S. ",
        "1,",
        "1.",
        "1,000",
        "1-",
        "a-",
        "a_",
        "a/",
        "\\frac{",
        "\\a",
        "\\(",
        "^{",
        "_{",
    ),
    *(
        "{a}",
        "$a",
        "$1",
        "<b",
        "<b>",
        "</b>",
        "<sub>",
        "<a href='",
        "<!--",
        "&#",
        "&amp;",
        "10^",
        "5%",
        ">= ",
    ),
    *("http://", "doi:", '{"a": ', '"a", ', "[1]", "et al. "),
)
_WORDS = (
    *(
        "a ",
        "A ",
        "A. ",
        "we ",
        "the ",
        "not ",
        "please ignore ",
        "your ",
        "you must ",
        "what is the ",
        "of ",
    ),
    *(
        "how many ",
        "by ",
        "up to ",
        "is it? ",
        "If ",
        "in order to ",
        "GPT-4 ",
        "between ",
        "paper ",
        "more ",
    ),
)
_UNITS = (*_CHARACTERS, *_MARKUP, *_WORDS)
_SEED = 16


def shapes(length: int = LENGTH) -> dict[str, str]:
    """Return texts of ``length`` characters by name: runs, runs that end badly, nesting, mixtures, words."""
    rng = random.Random(_SEED)  # noqa: S311 - the same texts in every run
    texts: dict[str, str] = {}

    def add(unit: str, head: str = "", tail: str = "") -> None:
        run = head + unit * (length // len(unit) + 1)
        texts[f"{head!r} + {unit!r} … + {tail!r}"] = run[: length - len(tail)] + tail

    for unit in (*_CHARACTERS[::3], *_MARKUP[::3], *_WORDS[::3]):
        add(unit)
    for unit in _CHARACTERS[1::8]:
        add(unit, head="We ", tail="\x00")
    for _ in range(12):
        add("".join(rng.choice(_UNITS) for _ in range(rng.choice((2, 2, 3)))))
    for opening, closing in ("()", "[]", "{}", "<>", "“”"):
        texts[f"nested {opening}{closing}"] = opening * (length // 2) + closing * (length // 2)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(400)]
    texts["random words"] = " ".join(rng.choices(words, k=length // 3))[:length]
    texts["capitalized words"] = texts["random words"].title()
    texts["different words"] = " ".join(f"w{number:x}" for number in range(length // 4))[:length]
    texts["different numbers"] = " ".join(map(str, range(length // 4)))[:length]
    texts["short sentences"] = ". ".join(word.capitalize() for word in rng.choices(words, k=length // 3))[
        :length
    ]
    return texts
