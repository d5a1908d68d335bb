"""What reaches a terminal, a Markdown reader and a JSON parser, and what never does."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from fake_agent import ABSTAINED, COMPARED, HITS, PAPERS, SINGLE, citation
from paperagent.layout import (
    Block,
    answer_blocks,
    hit_blocks,
    markdown,
    paper_blocks,
    row_blocks,
    source_blocks,
    transcript,
)
from paperagent.text.sanitize import safe_json, safe_markdown, safe_terminal, safe_url
from paperagent.types import Answer, Claim, Hit
from paperagent.ui.render import Screen

SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = [
    "\x1b]0;owned\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "\x1bP1;2q\x1b\\",
    "\x1b[2J\x1b[1;1H",
    "\x9b31m",
    "\x90q\x9c",
    "a\rb\bc\x07\x0b\x0c",
    "\u202eevil\u2066\u2069\u200f",
    "z\u200be\u200dr\ufeffo\u00ad",
    "".join(chr(0xE0000 + ord(c)) for c in "ignore"),
    "\u2028\u2029",
    "v\ufe0f\U000e0100\U000e01ef",
    "\ud800",
]


def drawn(blocks: Any, width: int = 80, *, terminal: bool = True) -> str:
    """Return what a screen prints."""
    out = io.StringIO()
    Screen(out, terminal=terminal, width=width).show(blocks)
    return out.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_terminal_controls_are_escaped(text: str) -> None:
    """Rows 279-281: escapes, bidi, zero-width and tag characters are shown, never sent, by every output."""
    paper = replace(PAPERS[0], title=text, abstract=f"So {text} it is.", authors=(text,), categories=(text,))
    answer = Answer(
        text, "answered", None, text,
        (Claim(paper.abstract, (1,), "quoted"), Claim(text, (1,), "unverified")),
        (citation(1, paper, paper.abstract),),
        (Hit(paper, 1.0, 1, snippet=text),), notes=(text,),
    )  # fmt: skip
    everything = [
        *answer_blocks(answer, quotes=True),
        *hit_blocks(answer.hits),
        *paper_blocks(paper, ()),
        *answer_blocks(replace(answer, status="abstained", claims=(), citations=())),
        *row_blocks([("name", text)]),
    ]
    printed = (
        SGR.sub("", drawn(everything)) + drawn(everything, terminal=False) + "".join(transcript([answer]))
    )
    printed += safe_json(answer.to_dict())
    assert all(c == "\n" or c.isprintable() for c in printed)
    assert "\U000e0100" not in printed
    printed.encode()


@given(st.text())
def test_safe_text_is_always_printable(text: str) -> None:
    assert {unicodedata.category(c) for c in safe_terminal(text)}.isdisjoint(
        {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    )
    assert "\n" not in safe_markdown(text)
    assert json.loads(safe_json({"x": text})) == {"x": text}


def test_plain_text_is_unchanged() -> None:
    """Letters, accents, CJK, emoji and mathematics are shown as they are."""
    text = "Grüße, 日本語, α ≤ 3.5 × 10⁻³, é, 👍 (50 %)"
    assert safe_terminal(text) == text
    assert safe_markdown(text) == text
    assert safe_terminal("a\n b\x1b", newlines=True) == "a\n b\\x1b"


def test_stacked_combining_marks_are_limited() -> None:
    """They cannot cover other lines."""
    assert safe_terminal("Z" + "\u0301" * 50) == "Z" + "\u0301" * 4


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("![x](http://e/p.png)", r"!\[x\](http://e/p.png)"),
        ("[x][y] and [MASK] of [1]", r"[x\][y] and [MASK] of \[1]"),
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)>"),
        ("[a]: http://e", r"[a\]: http://e"),
        ("www.site.example", "www.site.example"),
        ("mail me@x.y or @me, recall@10", r"mail me@x.y or \@me, recall@10"),
        ("p < 0.05, a <b>", r"p < 0.05, a \<b>"),
        ("https://x.y/_a_b/~c?d=1&e=2#f_ is", "https://x.y/_a_b/~c?d=1&e=2#f_ is"),
        ("**b** _i_ a_b `c` ~~s~~", r"\*\*b\*\* \_i\_ a_b \`c\` \~~s\~~"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("-0.5 and 1.5", "-0.5 and 1.5"),
        ("12. item", r"12\. item"),
        ("&lt; &#91; R&D", r"\&lt; \&#91; R&D"),
        (r"30\% of \alpha", r"30\\% of \alpha"),
    ],
)
def test_markdown_is_escaped(text: str, escaped: str) -> None:
    """No image, link, HTML, entity, heading or list in foreign text is active."""
    assert safe_markdown(text) == escaped


@given(
    st.lists(
        st.sampled_from(
            [*"[]()!<>*_`~\\ab &:#-+|@^='\"\n1.", "](", "~~", "**", "&lt;", "<b>", "<!--", "http://e.x"]
        ),
        max_size=14,
    ).map("".join)
)
def test_a_markdown_reader_shows_the_same_characters(text: str) -> None:
    """Nothing in it is a link, an image, emphasis, code, HTML or a block, with and without extensions."""
    for reader in (MarkdownIt("commonmark"), MarkdownIt("js-default")):
        page = reader.render(safe_markdown(text))
        assert unescape(re.sub(r"</?p>", "", page)).strip() == safe_terminal(text).strip()


OWN = ("http://127.0.0.1:8000", "/srv/_papers")


@pytest.mark.parametrize("text", ["(/srv/_papers): no answer", "it is in /srv/_papers."])
def test_a_path_from_the_settings_is_not_escaped(text: str) -> None:
    """It can be copied from the output; any other path is escaped."""
    assert safe_markdown(text, own=OWN) == text
    assert safe_markdown(text) != text
    block = Block("row", text, marker="ok", detail=text)
    out = io.StringIO()
    Screen(out, unescaped=OWN).show([block])
    assert out.getvalue() == f"- ok: {text} — {text}\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("/srv/_papers/_x", r"/srv/\_papers/\_x"),
        ("x/srv/_papers", r"x/srv/\_papers"),
        ("[x](/srv/_papers)", r"[x\](/srv/_papers)"),
        ("</srv/_papers onerror=x>", r"\</srv/\_papers onerror=x>"),
        ("# /srv/_papers _x_", r"\# /srv/_papers \_x\_"),
    ],
)
def test_text_around_a_path_is_escaped(text: str, escaped: str) -> None:
    """Also a longer path that starts with it."""
    assert safe_markdown(text, own=OWN) == escaped


@pytest.mark.parametrize(
    "url",
    [
        None, "", "javascript:alert(1)", "data:text/html,x", "ftp://x/y", "http://", "//x", "http://a b", "http://x\n",
        "https://user@evil.example", "https://x/<b>", "https://x/\u202e", "http://[::1", "https://x/`",
    ],
)  # fmt: skip
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert safe_url(url) is None
    assert "<" not in markdown(Block("item", "t", url=url))


def test_a_web_address_is_printed_unchanged() -> None:
    url = "https://arxiv.org/abs/cs/0112017v2?x=1#a_(b)~c%20d"
    assert safe_url(url) == url


@pytest.mark.parametrize("width", [1, 8, 20, 80, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    """Rows 282-283: long words wrap, and no line is wider than the terminal (of at least eight columns)."""
    long = replace(PAPERS[0], title="日本" * 50 + " " + "x" * 10_000, abstract="y" * 10_000)
    answer = replace(
        COMPARED,
        claims=(Claim("y" * 10_000, (1,), "quoted"), Claim("z", (1,), "unverified")),
        citations=(citation(1, long, "y" * 10_000),),
    )
    everything = [
        *answer_blocks(answer, quotes=True),
        *hit_blocks([Hit(long, 1.0, 1)]),
        *answer_blocks(ABSTAINED),
    ]
    for line in SGR.sub("", drawn(everything, width)).splitlines():
        assert cell_len(line) <= max(8, width)


def test_an_unknown_width_is_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.get_terminal_size", lambda _handle: __import__("os").terminal_size((0, 0)))
    out = io.StringIO()
    out.fileno = lambda: 1  # type: ignore[method-assign]
    Screen(out, terminal=True).show([Block("text", "a " * 60)])
    assert max(map(len, out.getvalue().splitlines())) in range(70, 81)


@pytest.mark.parametrize(("key", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_row_284_no_escapes(key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and TERM=dumb print plain text, wrapped; otherwise there is colour."""
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" in drawn(answer_blocks(COMPARED, quotes=True))
    monkeypatch.setenv(key, value)
    plain = drawn(answer_blocks(COMPARED, quotes=True), 30)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 30


def test_answer_on_a_terminal() -> None:
    """The text comes first with its numbers, then each source with all its numbers; no title stands twice."""
    text = SGR.sub("", drawn(answer_blocks(COMPARED)))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines == [
        "Sparse Lanterns: Retrieval at Night",
        "Sparse lanterns find papers 12% faster. [1]",
        "",
        "The code is public. [3]",
        "",
        "Dense Lanterns",
        "Dense lanterns cost more. [2]",
        "",
        "Sources",
        "[1] [3] https://arxiv.org/abs/2601.00001",
        "[2] 2601.00002",
    ]


def test_a_source_has_its_title_unless_a_heading_of_the_same_answer_was_it() -> None:
    out = io.StringIO()
    screen = Screen(out, terminal=True, width=80)
    screen.show(answer_blocks(COMPARED))
    screen.restart()
    screen.show(source_blocks(COMPARED.citations))
    assert out.getvalue().count("Dense Lanterns") == 2
    assert drawn(answer_blocks(COMPARED), terminal=False).count("Dense Lanterns") == 2


@pytest.mark.parametrize("support", ["unsupported", "uncited"])
def test_a_claim_that_failed_a_check_is_marked(support: Any) -> None:
    claim = Claim("It flies.", (1,) if support != "uncited" else (), support)
    text = drawn(answer_blocks(replace(SINGLE, claims=(claim,))), terminal=False)
    assert re.match(r"(~~)?It flies\.(~~)? \((not supported|no source)", text)


def test_incomplete_is_marked_before_its_claims() -> None:
    text = drawn(
        answer_blocks(replace(SINGLE, status="incomplete", reason="provider_failed")), terminal=False
    )
    assert text.startswith("*INCOMPLETE:* provider failed\n\nSparse lanterns")


def test_claims_over_several_papers_are_not_grouped() -> None:
    """A claim that cites two papers is printed under no title."""
    both = replace(COMPARED, claims=(Claim("They differ.", (1, 2), "supported"), COMPARED.claims[2]))
    text = drawn(answer_blocks(both), terminal=False)
    assert text.startswith("They differ. [1] [2]\n\nThe code is public. [3]\n\n## Sources")


def test_open_highlights_the_quote() -> None:
    """The whole abstract is shown in order, the cited sentence on a line of its own."""
    text = drawn(paper_blocks(PAPERS[0], [SINGLE.citations[0]]), terminal=False)
    assert text.split("\n\n")[1:] == [
        "We study lanterns.",
        "   > Sparse lanterns find papers 12% faster. [1]",
        "The code is public.\n",
    ]


def test_open_after_the_abstract_changed() -> None:
    """A quote of an older abstract is shown as such, never highlighted at a wrong place."""
    text = drawn(paper_blocks(replace(PAPERS[0], abstract="Quite new."), SINGLE.citations), terminal=False)
    assert "the abstract has changed" in text
    assert "Quite new." in text


def test_rows_line_up() -> None:
    text = SGR.sub("", drawn(row_blocks([("a", 1), ("longer", 2)])))
    assert [line.rstrip() for line in text.splitlines()] == ["a      1", "longer 2"]


def test_row_names_are_not_broken_within_words() -> None:
    """On a narrow terminal a name stands above its value, otherwise beside it."""
    rows = [("lexical indexed", 3), ("vectors embedder", "minilm")]
    narrow = SGR.sub("", drawn(row_blocks(rows), 20))
    assert [line.rstrip() for line in narrow.splitlines()] == [
        "lexical indexed",
        "  3",
        "vectors embedder",
        "  minilm",
    ]
    wide = SGR.sub("", drawn(row_blocks(rows), 40))
    assert [line.rstrip() for line in wide.splitlines()] == ["lexical indexed  3", "vectors embedder minilm"]


def test_transcript() -> None:
    """Each question is a heading, and every quote is included."""
    text = "".join(transcript([replace(SINGLE, question="# Why?"), ABSTAINED]))
    assert text.startswith("\n# \\# Why?\n\nSparse lanterns find papers 12% faster. [1]\n")
    assert "   > Sparse lanterns find" in text
    assert "# q?" in text


def test_a_hit_without_date_or_url() -> None:
    """Missing values are left out."""
    assert markdown(next(iter(hit_blocks(HITS[2:])))) == "3. **A third paper** — doi:10.1000/x"
