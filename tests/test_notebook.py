"""Display of results by `print` and in notebooks."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from html import unescape

from fake_agent import COMPARED, HITS, PAPERS, SINGLE, citation
from paperagent import Answer, Claim, Hits, Paper
from paperagent.answering.citations import join_claims, quoted_claim, verify

MARKED_UP = Paper(
    "lanterns-0a1b2c3d",
    "\\textbf{L}anterns at 38\\%",
    "We build lanterns. They glow for $10^{-3}$ s &amp; cost $5. "
    "See https://lux.example/_a_b for {\\'e}t{\\'e}.",
)


def marked_up_answer() -> Answer:
    """Return an answer that quotes two sentences with markup."""
    sentences = MARKED_UP.abstract.split(". ")
    cited = (
        citation(1, MARKED_UP, sentences[1] + "."),
        citation(2, MARKED_UP, sentences[2]),
    )
    claims = tuple(map(quoted_claim, cited))
    return replace(
        SINGLE, answer=join_claims(claims, cited), claims=claims, citations=cited,
        hits=(replace(HITS[0], paper=MARKED_UP),),
    )  # fmt: skip


def test_an_answer_is_readable_and_its_quotes_are_stored_text() -> None:
    """Claims and answer have no markup; each quote is still a part of the abstract."""
    answer = verify(marked_up_answer(), {MARKED_UP.paper_id: MARKED_UP})
    assert answer.claims[0].text == "They glow for 10⁻³ s & cost $5."
    assert answer.answer == "They glow for 10⁻³ s & cost $5. [1] See https://lux.example/_a_b for été. [2]"
    assert answer.citations[0].quote == "They glow for $10^{-3}$ s &amp; cost $5."
    for form in (str(answer), answer._repr_markdown_(), unescape(answer._repr_html_())):
        for words in ("Lanterns at 38%", "10⁻³ s & cost $5", "https://lux.example/_a_b for été"):
            assert words in form
        assert not re.search(r"textbf|\\\\|&amp;|\^", form)


def test_a_citation_opens_its_sentence() -> None:
    """A number links to the sentence below its source, without scripts; anchors of two answers differ."""
    page, other = COMPARED._repr_html_(), SINGLE._repr_html_()
    links = re.findall(r'<a href="#(paperagent-\w+-\d)" title="([^"]+)">\[(\d)\]</a>', page)
    assert [number for _, _, number in links] == ["1", "3", "2"]
    for anchor, sentence, number in links:
        assert f'<blockquote id="{anchor}"' in page
        assert f">[{number}] {sentence}</blockquote>" in page
        assert anchor not in other
    assert page.count("<details><summary>") == 2
    assert "<script" not in page


def test_hits_are_shown_as_a_numbered_list() -> None:
    """Hits are a list, which is shown like the output of `search`."""
    hits = Hits(HITS)
    assert hits == list(HITS)
    assert str(hits).startswith("1. Sparse Lanterns: Retrieval at Night — 2601.00001")
    assert "3. **A third paper**" in hits._repr_markdown_()
    assert '<a href="https://arxiv.org/abs/2601.00001"' in hits._repr_html_()
    assert str(Hits()) == "no matching papers"
    assert str(HITS[1]).startswith("2. Dense Lanterns")


def test_a_paper_shows_its_abstract() -> None:
    paper = replace(PAPERS[0], published=dt.date(2026, 1, 2))
    assert str(paper).endswith(
        "We study lanterns. Sparse lanterns find papers 12% faster. The code is public."
    )
    assert "<p>We study lanterns." in paper._repr_html_()


def test_short_forms_for_debugging() -> None:
    """`repr` is one short line for every result."""
    for result in (SINGLE, COMPARED, HITS[0], PAPERS[0]):
        assert len(repr(result)) < 250
        assert "\n" not in repr(result)


def test_an_unverified_claim_keeps_its_sentence() -> None:
    claim = Claim("They glow.", (1,), "unverified")
    assert "“They glow for 10⁻³ s & cost $5.” [1]" in str(replace(marked_up_answer(), claims=(claim,)))
