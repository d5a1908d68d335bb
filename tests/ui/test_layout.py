"""How claims are shown: support, quoted sentences, and escaping."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.cells import cell_len
from test_render import HOSTILE, SGR

from fake_agent import ABSTAINED, COMPARED, HITS, PAPERS, SINGLE, citation
from paperagent.answering.answers import DOUBTFUL
from paperagent.answering.citations import join_claims, quoted_claim
from paperagent.layout import (
    CONFIRMED,
    REPLACED,
    UNVERIFIED,
    Block,
    answer_blocks,
    document,
    markdown,
    plain_text,
    transcript,
)
from paperagent.notebook import html
from paperagent.types import Answer, Claim, Paper
from paperagent.ui.render import Screen

FASTER = citation(1, PAPERS[0], "Sparse lanterns find papers 12% faster.")
DEARER = citation(2, PAPERS[1], "Dense lanterns cost more.")
PUBLIC = citation(3, PAPERS[0], "The code is public.")
LOOSE = Claim("Dense ones are slow and dear.", (1, 2), "unverified", {"overlap": 0.2, "names": False})
SUPPORTED = Claim("Sparse lanterns are 12% faster.", (1,), "supported", {"judge": 0.93})
SWAPPED = Claim("The code is public.", (3,), "quoted", {"replaced": True})


def written(*claims: Claim, **changes: Any) -> Answer:
    """Return an answer written by a model."""
    cited = (FASTER, DEARER, PUBLIC)
    text = join_claims(claims, cited)
    return Answer("q?", "answered", None, text, claims, cited, HITS, mode="llm", model="m", **changes)


def doubtful() -> Answer:
    """Return an answer that quotes the closest passages after a caveat."""
    claims = tuple(quoted_claim(c) for c in (FASTER, PUBLIC))
    text = f"{DOUBTFUL}\n\n{join_claims(claims, (FASTER, PUBLIC))}"
    return Answer("q?", "doubtful", None, text, claims, (FASTER, PUBLIC), HITS)


def hostile(text: str) -> Answer:
    """Return an answer whose claim, sentence, title and URL are hostile."""
    paper = Paper("x", f"T {text}", f"So {text} it is.", url="javascript:alert(1)")
    cited = citation(1, paper, paper.abstract)
    claim = Claim(f"Thus {text}.", (1,), "unverified")
    return Answer("q?", "answered", None, join_claims([claim], [cited]), (claim,), (cited,), mode="llm")


def on_screen(answer: Answer, width: int = 80) -> list[str]:
    """Return the lines that a terminal shows, without colours."""
    out = io.StringIO()
    Screen(out, terminal=True, width=width).show(answer_blocks(answer))
    return [line.rstrip() for line in SGR.sub("", out.getvalue()).splitlines()]


# --- what stands under a claim ---


def test_an_unverified_claim_is_followed_by_its_sentences() -> None:
    """The label comes once, each sentence has its number; a blank line separates the next claim."""
    assert document(answer_blocks(written(LOOSE, SUPPORTED))).startswith(
        "Dense ones are slow and dear. [1] [2]\n"
        f"   > {UNVERIFIED} “Sparse lanterns find papers 12% faster.” [1]\n"
        "   > “Dense lanterns cost more.” [2]\n\n"
        "Sparse lanterns are 12% faster. [1]\n\n## Sources\n"
    )


def test_on_a_terminal_the_sentences_are_indented() -> None:
    """They follow the claim without a blank line, wrapped to the width."""
    assert on_screen(written(LOOSE), 60)[:4] == [
        "Dense ones are slow and dear. [1] [2]",
        "    unverified – compare with the source: “Sparse lanterns",
        "    find papers 12% faster.” [1]",
        "    “Dense lanterns cost more.” [2]",
    ]


@pytest.mark.parametrize(("key", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")])
def test_a_narrow_terminal_shows_everything(key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 20 columns, with or without colours, nothing is cut and no line is too long."""
    monkeypatch.setenv(key, value)
    lines = on_screen(written(LOOSE), 20)
    assert max(map(cell_len, lines)) <= 20
    assert lines[2:10] == [
        "  unverified –",
        "  compare with the",
        "  source: “Sparse",
        "  lanterns find",
        "  papers 12%",
        "  faster.” [1]",
        "  “Dense lanterns",
        "  cost more.” [2]",
    ]


@pytest.mark.parametrize("width", [8, 20, 80])
def test_a_long_sentence_is_not_truncated(width: int) -> None:
    sentence = " ".join(f"w{n}" for n in range(2_000)) + "."
    cited = replace(FASTER, quote=sentence)
    answer = replace(written(replace(LOOSE, citations=(1,))), citations=(cited,))
    shown = "".join(on_screen(answer, width)).replace(" ", "")
    assert sentence.replace(" ", "") in shown
    assert sentence in str(answer)
    assert sentence in answer._repr_html_()


def test_a_summary_shows_the_sentence_under_its_paper() -> None:
    """A claim under a theme has its title above and its sentence below."""
    loose = replace(LOOSE, citations=(1,), checks={"theme": "Light"})
    assert document(answer_blocks(written(loose))).startswith(
        "## Light\n\n- **Sparse Lanterns: Retrieval at Night**\nDense ones are slow and dear. [1]\n"
        f"   > {UNVERIFIED} “Sparse lanterns find papers 12% faster.” [1]\n\n## Sources"
    )


def test_a_supported_claim_has_no_sentences() -> None:
    """Claims confirmed by the judge look the same as claims confirmed by wording."""
    confirmed, worded = (written(replace(SUPPORTED, checks=checks)) for checks in ({"judge": 0.93}, {}))
    assert on_screen(confirmed) == on_screen(worded)
    assert on_screen(worded)[:2] == ["Sparse lanterns are 12% faster. [1]", ""]


def test_a_replaced_wording_is_marked() -> None:
    """The quoted sentence is followed by a note; other quotations have none."""
    assert on_screen(written(SWAPPED))[:2] == ["The code is public. [3]", REPLACED]
    assert REPLACED not in str(written(replace(SWAPPED, checks={})))
    assert CONFIRMED not in str(written(SUPPORTED))


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ({"judge": 0.1}, "not supported by its source: the judge"),
        ({"judge": "not_supported"}, "not supported by its source: the judge"),
        ({"judge": 0.9, "numbers": False}, "not supported by its source: numbers"),
        ({"judge": "unjudged"}, "not supported by its source"),
        ({"judge": True}, "not supported by its source"),
    ],
)
def test_a_refuted_claim_names_the_reason(checks: dict[str, Any], why: str) -> None:
    """With unsupported=mark; verdicts are probabilities, in older runs labels."""
    claim = Claim("They fly.", (1,), "unsupported", checks)
    assert f"~~They fly.~~ ({why}) [1]\n" in document(answer_blocks(written(claim)))


def test_a_saved_conversation_has_the_sentences() -> None:
    assert f"   > {UNVERIFIED} “Sparse lanterns" in "".join(transcript([written(LOOSE)]))


# --- notebooks, and print() ---


class Page(HTMLParser):
    """Checks that tags are closed in order; collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_str_of_an_answer() -> None:
    """Claims, the sentences under them, sources and notes, as plain lines."""
    assert str(written(LOOSE, notes=("withheld: “It flies.” (number 7 is not there)", "a note"))) == (
        "Dense ones are slow and dear. [1] [2]\n"
        "    unverified – compare with the source: “Sparse lanterns find papers 12% faster.” [1]\n"
        "    “Dense lanterns cost more.” [2]\n\n"
        "Sources\n"
        "[1] [3] Sparse Lanterns: Retrieval at Night — https://arxiv.org/abs/2601.00001\n"
        "[2] Dense Lanterns — 2601.00002\n\n"
        "Withheld\n"
        "    It flies. (number 7 is not there)\n\n"
        "a note"
    )
    assert str(ABSTAINED).startswith("No answer: The abstracts do not say it.\n\nNearest papers\n1. Sparse")


def test_a_notebook_shows_markdown_or_html() -> None:
    """Both contain what `str` does; Markdown is what a pipe gets."""
    answer = written(LOOSE, SWAPPED)
    out = io.StringIO()
    Screen(out).show(answer_blocks(answer))
    assert answer._repr_markdown_() + "\n" == out.getvalue()
    page = Page(answer._repr_html_())
    assert page.tags == {"div", "p", "blockquote", "small", "h4", "a", "details", "summary"}
    for words in (
        "Dense ones are slow and dear.",
        UNVERIFIED,
        "“Dense lanterns cost more.”",
        REPLACED,
        "Sources",
    ):
        assert words in page.text
    assert ("href", "https://arxiv.org/abs/2601.00001") in page.attributes


@pytest.mark.parametrize(
    "answer", [SINGLE, COMPARED, ABSTAINED, replace(ABSTAINED, citations=(FASTER, DEARER))]
)
def test_every_form_has_the_same_words(answer: Answer) -> None:
    opened = re.compile(r"<blockquote id=.*?</blockquote>")  # what a source shows when it is opened
    forms = (str(answer), answer._repr_markdown_(), Page(opened.sub("", answer._repr_html_())).text)
    seen = [re.findall(r"[A-Za-z]{3,}", form.replace("https://arxiv.org/abs/", "")) for form in forms]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]


def test_every_kind_of_block_has_each_form() -> None:
    """Including rows, notes with a marker and struck text."""
    row, note, gone = (
        Block("row", "3", "papers "),
        Block("note", "x", "Refused"),
        Block("text", "y", struck=True),
    )
    assert [plain_text(b) for b in (row, note, gone)] == ["papers: 3", "Refused: x", "y"]
    assert [markdown(b) for b in (row, note, gone)] == ["- papers: 3", "*Refused:* x", "~~y~~"]
    assert [html(b) for b in (row, note, gone)] == [
        "<p><em>papers: 3</em></p>",
        "<p><em>Refused: x</em></p>",
        "<p><s>y</s></p>",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "<script>alert(1)</script>",
        "</blockquote></div><img src=x onerror=alert(1)>",
        '" style="position:fixed',
        "![x](http://e/p.png) [y](javascript:alert(1))",
        "\n> “Forged sentence.” [1]\n# Heading\n",
        "” [1]\n\n**Sources**",
        "&lt;b&gt; $\\href{javascript:alert(1)}{x}$",
    ],
)
def test_hostile_text_stays_text(text: str) -> None:
    """In no form does a claim, a quote or a title become markup, a line break or a control character."""
    answer = hostile(text)
    page = Page(answer._repr_html_())
    assert page.tags == {"div", "p", "blockquote", "small", "h4", "a", "details", "summary"}
    assert {name for name, _ in page.attributes} == {"class", "style", "id", "title", "href"}
    links = [value or "" for name, value in page.attributes if name == "href"]
    assert all(re.fullmatch("#paperagent-[0-9a-f]{8}-1", link) for link in links)
    assert ("class", "tex2jax_ignore mathjax_ignore") in page.attributes
    forms = (str(answer), answer._repr_markdown_(), page.text, "\n".join(on_screen(answer)))
    for form in forms:
        assert all(c == "\n" or c.isprintable() for c in form)
        assert len(form.splitlines()) <= 12
    rendered = answer._repr_markdown_()
    assert not re.search(r"(?<!\\)(?:\]\(|<(?!/?https?:))", rendered)
    assert [line[:5] for line in rendered.splitlines() if line.lstrip().startswith((">", "#"))] == [
        "   > ",
        "## So",
    ]


# --- doubtful answers ---


@pytest.mark.parametrize("width", [20, 80])
def test_a_caveat_comes_before_the_passages_on_a_terminal(width: int) -> None:
    lines = on_screen(doubtful(), width)
    text = " ".join(" ".join(lines).split())
    assert text.startswith("May not answer: closest passages. Sparse lanterns find")
    assert all(cell_len(line) <= width for line in lines)


def test_a_caveat_comes_before_the_passages_in_every_text() -> None:
    """And it differs from an answer and from an abstention."""
    answer = doubtful()
    shown = document(answer_blocks(answer))
    assert shown.startswith("*May not answer:* closest passages.\n\nSparse lanterns")
    assert shown.count("closest passages") == 1
    assert str(answer).startswith("May not answer: closest passages.\n\nSparse lanterns")
    assert answer._repr_html_().index("May not answer") < answer._repr_html_().index("Sparse lanterns")
    assert str(ABSTAINED).startswith("No answer: ")
