"""arXiv's Atom feeds."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest

from paperagent.errors import FeedError
from paperagent.types import Paper, Skipped

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]
Write = Callable[..., str]

WHOLE = """<entry>
  <id>http://arxiv.org/abs/2508.13426v2</id>
  <title>A title that is
    hard-wrapped &amp; long</title>
  <updated>2025-08-21T00:30:00+02:00</updated>
  <published>2025-08-19T01:12:03Z</published>
  <summary>  We show that $a &lt; b$ holds for
  96.1\\% of the inputs.
</summary>
  <author><name>Ana María Núñez</name><arxiv:affiliation>Somewhere</arxiv:affiliation></author>
  <author><name>B. Writer</name></author>
  <arxiv:doi>10.1000/XYZ</arxiv:doi>
  <arxiv:comment>12 pages</arxiv:comment>
  <link href="javascript:alert(1)" rel="alternate"/>
  <arxiv:primary_category term="cs.CL"/>
  <category term="cs.AI"/><category term="cs.CL"/><category term="unheard of"/>
</entry>"""


def test_every_field_of_an_entry_is_read(atom: Write, parse: Parse) -> None:
    """Text is unwrapped and decoded once, days are UTC, the version comes from the id."""
    papers, skipped = parse(atom(WHOLE))
    assert not skipped
    assert papers == [
        Paper(
            paper_id="2508.13426",
            title="A title that is hard-wrapped & long",
            abstract="We show that $a < b$ holds for 96.1\\% of the inputs.",
            authors=("Ana María Núñez", "B. Writer"),
            published=dt.date(2025, 8, 19),
            updated=dt.date(2025, 8, 20),
            categories=("cs.CL", "cs.AI", "unheard of"),
            url="https://arxiv.org/abs/2508.13426",
            arxiv_id="2508.13426",
            doi="10.1000/xyz",
            version=2,
            sources=("arxiv-atom",),
        )
    ]


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (
            "<![CDATA[<p>One result.</p><p>And <b>another</b> &amp; more.</p>]]>",
            "One result. And another & more.",
        ),
        ("We use H<sub>2</sub>O<div>and</div><script>x()</script>so on.", "We use H2O and so on."),
        (
            "Bound <math><mi>x</mi><mo>&lt;</mo><mn>2</mn></math> holds",
            "Bound x<2 holds",
        ),
        ("a &lt; b &lt;unk&gt; &amp;amp; so on", "a < b <unk> & so on"),
        ("arXiv:2508.13426v1 Announce Type: new \nAbstract: We begin here.", "We begin here."),
    ],
)
def test_markup_in_a_summary_becomes_text(
    summary: str, expected: str, atom: Write, entry: Write, parse: Parse
) -> None:
    """CDATA, HTML and MathML are stripped; text that is escaped twice is decoded twice."""
    papers, _ = parse(atom(entry(summary=summary)))
    assert [p.abstract for p in papers] == [expected]


@pytest.mark.parametrize(("kind", "is_new"), [("new", True), ("cross", True), ("replace", False)])
def test_an_announcement_tells_when_a_paper_was_listed(
    kind: str,
    is_new: bool,  # noqa: FBT001 - a table
    atom: Write,
    entry: Write,
    parse: Parse,
) -> None:
    """In the daily feed ``published`` is the day of the announcement, for new papers their own too."""
    summary = f"arXiv:2508.13426v1 Announce Type: {kind}\nAbstract: We begin here."
    papers, _ = parse(atom(entry(summary=summary, more="<published>2026-11-20T00:00:00-05:00</published>")))
    day = dt.date(2026, 11, 20)
    assert (papers[0].listed, papers[0].published) == (day, day if is_new else None)


def test_a_summary_declared_as_html_is_decoded_once_more(atom: Write, entry: Write, parse: Parse) -> None:
    """``type="html"`` holds escaped markup, with its own entities."""
    text = (
        entry()
        .replace("<summary>", '<summary type="html">', 1)
        .replace("We study", "&lt;i&gt;We&lt;/i&gt; &amp;lt;3")
    )
    papers, _ = parse(atom(text))
    assert papers[0].abstract.startswith("We <3 a question")


def test_arxivs_errors_are_errors(atom: Write, entry: Write, parse: Parse) -> None:
    """An entry titled "Error" is no paper: arXiv's words are passed on, made safe."""
    error = entry(
        "http://arxiv.org/api/errors#x", title="Error", summary="incorrect id format for \u202e1234.12345"
    )
    with pytest.raises(FeedError, match=r"arXiv said: incorrect id format for 1234\.12345;"):
        parse(atom(error))


def test_throttling_is_an_error(parse: Parse) -> None:
    """The bare text "Rate exceeded." is told apart from a feed."""
    with pytest.raises(FeedError, match=r"arXiv said: Rate exceeded"):
        parse("Rate exceeded.\n")


def test_an_empty_answer_has_no_papers(atom: Write, parse: Parse) -> None:
    """A weekend's feed is no error."""
    assert parse(atom()) == ([], [])


def test_bad_entries_are_skipped_with_their_place(atom: Write, entry: Write, parse: Parse) -> None:
    """An entry without id, title or summary is counted with its number and line; the others are read."""
    entries = (entry(None), entry("urn:x"), entry(title=""), entry(summary=""), entry())
    papers, skipped = parse(atom(*entries))
    assert [p.paper_id for p in papers] == ["2508.13426"]
    assert skipped == [
        Skipped("entry 1, line 4", "no id"),
        Skipped("entry 2, line 5", "bad id"),
        Skipped("entry 3, line 6", "no title"),
        Skipped("entry 4, line 7", "no abstract"),
    ]


def test_a_withdrawn_paper_is_marked(atom: Write, entry: Write, parse: Parse) -> None:
    """The comment says so, or the start of the abstract does; a paper about withdrawal is not one."""
    comment = "<arxiv:comment>Withdrawn by the authors</arxiv:comment>"
    said = "This paper has been withdrawn by the author due to an error in equation 3."
    about = "This paper studies why submissions are withdrawn from conferences."
    also = "Withdrawn papers are still cited, and we count how often."
    papers, _ = parse(atom(entry(more=comment), *(entry(summary=text) for text in (said, about, also))))
    assert [p.withdrawn for p in papers] == [True, True, False, False]


@pytest.mark.parametrize("piece", ["arXiv:", "&lt;a ", "&lt;!--", "Announce Type: "])
def test_hostile_text_takes_linear_time(piece: str, atom: Write, entry: Write, parse: Parse) -> None:
    """Two megabytes that look like the start of something are read in a second or so, and cut."""
    start = time.process_time()
    papers, _ = parse(atom(entry(summary="word " + piece * (2_000_000 // len(piece)))))
    assert "truncated" in papers[0].flags
    assert time.process_time() - start < 2.0


def test_versions_of_one_paper_are_both_given(atom: Write, entry: Write, parse: Parse) -> None:
    """Which one to keep is the library's choice: each carries its version."""
    papers, _ = parse(atom(entry("arXiv:2508.13426v3"), entry("http://arxiv.org/abs/2508.13426v1")))
    assert [(p.paper_id, p.version) for p in papers] == [("2508.13426", 3), ("2508.13426", 1)]


@pytest.mark.parametrize("root", ["html", "something"])
def test_other_xml_is_named(root: str, parse: Parse) -> None:
    """XML that is neither Atom nor RSS is refused by the name of its root."""
    with pytest.raises(FeedError, match="got HTML" if root == "html" else f"the root element {root}"):
        parse(f"<?xml version='1.0'?><{root}><channel/></{root}>")


def test_processing_instructions_and_xinclude_do_nothing(atom: Write, entry: Write, parse: Parse) -> None:
    """A style sheet or an inclusion is not followed."""
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
    before = "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='file:///etc/passwd'?>"
    papers, _ = parse(atom(entry(more=include), before=before))
    assert len(papers) == 1


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "UTF-8", "us-ascii"])
def test_allowed_encodings_are_decoded(encoding: str, atom: Write, entry: Write, parse: Parse) -> None:
    """A declared single-byte encoding is honoured."""
    title = "A title" if encoding == "us-ascii" else "Café"
    text = atom(entry(title=title), before=f"<?xml version='1.0' encoding='{encoding}'?>")
    papers, _ = parse(text.encode(encoding))
    assert papers[0].title == title


def test_utf_16_with_a_mark_is_decoded(atom: Write, entry: Write, parse: Parse) -> None:
    """The mark settles the encoding, whatever is declared."""
    text = atom(entry(title="Café"), before="<?xml version='1.0' encoding='UTF-16'?>")
    papers, _ = parse(text.encode("utf-16"))
    assert papers[0].title == "Café"
