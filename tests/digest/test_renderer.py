"""What a mail shows: content and order, harmless text, equal links in both parts, bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import issues
import pytest

import attack_strings
from paperagent.digest.issue import OTHER_NAME, Issue, Item, Period, Reason, Theme
from paperagent.digest.render.formatting import format_authors, known_url, search_url
from paperagent.digest.render.renderer import MAX_BYTES, WARN_BYTES, render_confirmation, render_issue
from paperagent.digest.render.view import SubscriberLinks
from paperagent.errors import ConfigError, PaperAgentError
from paperagent.layout import REPLACED, UNVERIFIED
from paperagent.text.readable import readable
from paperagent.types import Claim

URL = re.compile(r"(?:https?://|mailto:)[^\s<>\"“”]+")


class Page(HTMLParser):
    """The elements, addresses and text of an HTML page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shape: list[tuple[str, ...]] = []
        self.hrefs: list[str] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self._style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, *sorted(name for name, _ in attrs)))
        self.hrefs += [
            value or "" for name, value in attrs if name in {"href", "src", "action", "background"}
        ]
        self._style = tag in {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> set[str]:
        return {h for h in self.hrefs if not h.startswith("#")}


def in_order(text: str, parts: list[str]) -> bool:
    """Return whether the parts stand in ``text`` one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


ORDER = [
    "2026-W26", "22–28 June 2026", "8 picked from 1,704",
    "etrieval that knows when to stop", "Tindersift: Filtering", "Ada Q",
    "Bram Oosterwijk, Chiamaka Eze",
    "arXiv:2606.04237", "24 June 2026", "71.4.", "[1]", "Your topic: retrieval-augmented generation",
    "R²AG: Sub-O(n log n) Retrieval with α-Bounded Regret", "3.2 ms on 10⁹ vectors, 4.7×", "[2]",
    "Your question: Does any method", "You liked: Hints", "You follow cs.CY", "118 upvotes",
    "our standing questions", "Does any method reduce", "[3]", "watermarking", "Nothing new in this issue.",
    "lso noticed", "Part 5", "orrections to earlier issues", "ew version (v2)", "ithdrawn", "ources",
    "quoted word for word", "[1]", "[8]", "You receive this because", "Archive", "Preferences", "Unsubscribe",
]  # fmt: skip


@pytest.mark.parametrize("part", ["html", "text"])
def test_an_issue_holds_everything_in_the_order_of_the_contract(part: str) -> None:
    """Masthead, overview, themes, standing questions, also noticed, corrections, sources, footer."""
    shown = render_issue(issues.issue(), links=issues.LINKS)
    text = Page(shown.html).text if part == "html" else " ".join(shown.text.split())
    order = ORDER if part == "html" else [p for p in ORDER if p[0].isupper() or not p[0].islower()]
    assert in_order(text, order)


def test_a_reason_that_the_heading_gives_is_not_repeated() -> None:
    """A paper of a followed author keeps its reason, because the author may not be among the first three."""
    base = issues.issue()
    item = base.themes[0].items[0]
    reasons = [Reason("interest", "tool use"), Reason("central", ""), Reason("author", "Ada Q")]
    items = tuple(replace(item, reason=reason) for reason in reasons)
    shown = render_issue(replace(base, themes=(Theme("Tool use", items),)), links=issues.LINKS)
    for text in (Page(shown.html).text, shown.text):
        assert "Your topic" not in text
        assert "A main topic" not in text
        assert "By Ada Q" in text


def test_punctuation_is_no_author() -> None:
    """Feeds of arXiv write a collaboration as ``NVIDIA, :, Ada Q``."""
    assert format_authors(["NVIDIA", ":", "Ada Q", "B", "C"]) == "NVIDIA, Ada Q, B et al."
    assert format_authors(["李", ":", "B"]) == "李, B"


def test_subject_and_preheader_say_what_is_inside() -> None:
    """The subject names themes with their sizes and the days; the preheader has 40 to 90 characters."""
    shown = render_issue(issues.issue())
    assert shown.subject == "Retrieval that knows when to stop · 3, Tutors and assessment · 2 — 22–28 June"
    assert len(shown.subject) <= 78
    assert 40 <= len(shown.preheader) <= 90
    assert shown.preheader.startswith("Tindersift: Filtering Retrieved Passages")


def test_the_subject_names_a_theme_that_is_one() -> None:
    """A group of papers that share none gives way to a named one; where it is most of the issue, to none."""
    base = issues.issue()
    first, *others = base.themes
    assert others
    mixed = replace(first, name=OTHER_NAME, items=first.items[:1])
    assert others[0].name in render_issue(replace(base, themes=(mixed, *others))).subject
    loose = replace(first, name=OTHER_NAME, items=first.items * 9)
    subject = render_issue(replace(base, themes=(loose, *others))).subject
    assert re.fullmatch(r"\d+ new papers — 22–28 June", subject)


def test_interests_without_papers_are_named_in_one_line() -> None:
    """It says for which time that is so."""
    quiet = replace(issues.issue(), unmatched=("code-switching", "coral reefs"))
    assert "Nothing this week on: code-switching; coral reefs" in render_issue(quiet).text
    day = replace(quiet, period=Period("2026-06-22", quiet.period.since, quiet.period.since))
    assert "Nothing today on: code-switching" in Page(render_issue(day).html).text
    assert "Nothing" not in render_issue(issues.issue()).text.split("SOURCES")[0].split("YOUR STANDING")[0]


def test_a_subject_is_cut_in_the_theme_and_never_in_the_week() -> None:
    """bad-333: at most 78 characters, and the days stay whole."""
    whole = issues.issue()
    long = replace(whole, themes=(replace(whole.themes[0], name="retrieval " * 500), *whole.themes[1:]))
    subject = render_issue(long).subject
    assert len(subject) <= 78
    assert subject.endswith("… · 3 — 22–28 June")


@pytest.mark.parametrize("shape", ["empty", "one", "short"])
def test_a_quiet_week_is_a_short_issue(shape: str) -> None:
    """Without papers the mail says so; with one it counts one; the preheader keeps its length."""
    whole = issues.issue()
    one = (replace(whole.themes[0], items=whole.themes[0].items[:1]),)
    quiet = replace(
        whole,
        themes={"empty": (), "one": one, "short": whole.themes[:1]}[shape],
        overview=(), standing=(), also=(), updates=(), citations=whole.citations[:1], screened=3,
    )  # fmt: skip
    shown = render_issue(quiet)
    ends = {"empty": "No new papers — 22–28 June", "one": " · 1 — 22–28 June", "short": " · 3 — 22–28 June"}
    assert shown.subject.endswith(ends[shape])
    assert 40 <= len(shown.preheader) <= 90
    assert f"{len(quiet.papers) or 'No paper'} picked from 3\n" in shown.text  # within a minute
    heading = ("New" if quiet.papers else "No new") + " papers, 22–28 June 2026"
    assert heading in shown.text
    assert heading in Page(shown.html).text


def test_an_answer_names_the_paper_of_each_sentence() -> None:
    """Its linked title stands over the quote, in both parts."""
    shown = render_issue(issues.issue())
    answer = ["any method reduce hallucination without", "Abstaining Readers", "91.3%", "[3]", "watermarking"]
    plain, page = " ".join(shown.text.split()), Page(shown.html).text
    assert in_order(plain.split("YOUR STANDING")[1], answer)
    assert in_order(page.split("Your standing")[1], answer)


def test_both_parts_lead_to_the_same_places() -> None:
    """The set of addresses in the HTML is the set in the text: what one shows the other does not hide."""
    for links in (None, issues.LINKS, SubscriberLinks(mailto="mailto:a@b.example?subject=unsubscribe")):
        shown = render_issue(issues.issue(), links=links)
        page = Page(shown.html)
        assert page.links == set(URL.findall(shown.text))
        assert len(page.links) >= 15


def test_every_marker_leads_to_its_source() -> None:
    """Each [n] of a sentence is a link to the entry [n] of the list, which names the paper."""
    shown = render_issue(issues.written())
    targets = set(re.findall(r'id="(s\d+)"', shown.html))
    assert {h[1:] for h in Page(shown.html).hrefs if h.startswith("#")} <= targets
    assert targets == {f"s{n}" for n in range(1, 9)}


def test_a_model_s_words_are_shown_with_the_sentence_they_rest_on() -> None:
    """The list of sources quotes what a supported sentence cites."""
    shown = render_issue(issues.written())
    assert "“On four domains, Tindersift removes 61%" in Page(shown.html).text
    assert "written by some-model-4.1-mini" in shown.text
    assert "extractive" not in shown.text


def loose(*numbers: int, text: str = "Much of it is faster.") -> Claim:
    """Return an unverified claim."""
    return Claim(text, numbers, "unverified")


def holding(*claims: Claim, standing: tuple[Claim, ...] = ()) -> Issue:
    """Return the issue with these claims as its overview, the first of its standing answers these too."""
    base = issues.written()
    answered = replace(base.standing[0], claims=standing)
    return replace(base, overview=claims, standing=(answered, *base.standing[1:]))


def test_an_unverified_sentence_stands_over_what_it_cites() -> None:
    """Of a paper, in the overview and in a standing answer; in both parts, and not once more at the end."""
    shown = render_issue(holding(loose(1), standing=(loose(4, 6),)))
    text = " ".join(shown.text.split())
    for said in (
        ["faster.", "[1]", f"{UNVERIFIED} “On four domains, Tindersift removes 61%", "71.4.”", "[1]"],
        ["finding 2 holds up.", "[2]", f"{UNVERIFIED} “Our index takes 3.2 ms on 10⁹", "recall.”", "[2]"],
        ["faster.", "[4]", "[6]", f"{UNVERIFIED} “In a trial", "answer.”", "[4]", "“Corrivane", "memory.”"],
    ):
        assert in_order(text, said)
        assert in_order(Page(shown.html).text, said)
    assert shown.text.count("Our index takes") == 1
    assert "      unverified – compare with the source: “Our index takes 3.2 ms on\n" in shown.text
    assert "If the check could not confirm a sentence, the cited sentence is shown below it." in text
    assert "could not confirm" not in render_issue(issues.issue()).text


def test_every_number_under_a_sentence_leads_to_its_source() -> None:
    """The numbers of the sentences are links as those of the claims are."""
    shown = render_issue(holding(loose(1, 4)))
    assert shown.html.count('href="#s1"') == shown.html.count('href="#s4"') == 3
    assert set(re.findall(r'id="(s\d+)"', shown.html)) == {f"s{n}" for n in range(1, 9)}


def test_a_sentence_under_a_claim_is_shown_whole() -> None:
    """However long, and whatever is shortened elsewhere for the size of the mail."""
    sentence = " ".join(f"w{n}" for n in range(600)) + "."
    base = big(24, 200, also=0)
    cited = (replace(base.citations[0], quote=sentence), *base.citations[1:])
    item = base.themes[0].items[0]
    items = (replace(item, claims=(loose(1),)), *base.themes[0].items[1:])
    shown = render_issue(replace(base, citations=cited, themes=(replace(base.themes[0], items=items),)))
    assert "quotes in the list of sources: 200 characters" in shown.notes
    assert f"“{sentence}”" in Page(shown.html).text
    assert f"“{sentence}”" in " ".join(shown.text.split())


def test_an_inbox_shows_no_unverified_sentence() -> None:
    """There is no room for what it is to be compared with, neither there nor in a feed."""
    shown = render_issue(holding(loose(1)))
    assert "faster" not in shown.preheader
    assert 40 <= len(shown.preheader) <= 90


def test_a_replaced_sentence_says_so() -> None:
    """A quotation in place of the model's words has its mark, in both parts."""
    whole = issues.issue()
    swapped = replace(whole.overview[0], checks={"replaced": True})
    shown = render_issue(replace(whole, overview=(swapped,)))
    assert f"71.4. ({REPLACED}) [1]" in " ".join(shown.text.split())
    assert in_order(Page(shown.html).text, ["71.4.", f"({REPLACED})", "[1]"])
    assert REPLACED not in render_issue(whole).text


def test_a_quoted_sentence_is_not_printed_twice_on_end() -> None:
    """The list of sources repeats no sentence that stands word for word above."""
    assert render_issue(issues.issue()).text.count("Scores of the same essays fell") == 1


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://arxiv.org/abs/2606.1", True),
        ("https://doi.org/10.1/x", True),
        ("https://evil.example/login", False),
        ("https://arxiv.org.evil.example/abs/1", False),
        ("https://xn--rxiv-53d.org/abs/1", False),
        ("http://user@arxiv.org/", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://аrxiv.org/abs/1", False),
        ("https://arxiv.org/" + "a" * 3000, False),
    ],
)
def test_only_places_where_papers_are_kept_are_linked(url: str, linked: object) -> None:
    """bad-341, bad-343: any other address is text, in both parts, and a look-alike is seen as punycode."""
    whole = issues.issue()
    paper = replace(whole.themes[0].items[0].paper, url=url, arxiv_id=None)
    item = replace(whole.themes[0].items[0], paper=paper)
    shown = render_issue(replace(whole, themes=(Theme("A theme", (item,)),)))
    assert (url in Page(shown.html).hrefs) is linked
    if url.startswith("https://") and url.isascii() and len(url) < 100:
        assert url in shown.text
        assert url in shown.html


@pytest.mark.parametrize("url", ["https://evil.example/paper", None])
def test_titles_without_a_link_of_their_own_lead_to_our_page(url: str | None) -> None:
    """In items, further papers, corrections and sources, in both parts; without a page to a search."""
    whole = issues.issue()
    base = whole.themes[0].items[0]
    names = ("local:a b?#c", "local:also", "local:update")
    papers = [replace(base.paper, paper_id=name, url=url, arxiv_id=None, doi=None) for name in names]
    cited = replace(whole.citations[0], paper_id=names[0])
    issue = replace(
        whole,
        overview=(),
        standing=(),
        themes=(Theme("A theme", (replace(base, paper=papers[0]),)),),
        also=(papers[1],),
        updates=(papers[2],),
        citations=(cited,),
    )
    shown = render_issue(issue, links=SubscriberLinks(paper=issues.LINKS.paper))
    addresses = [f"{issues.BASE}/paper/local:{name}" for name in ("a%20b%3F%23c", "also", "update")]
    assert sorted(h for h in Page(shown.html).hrefs if h[0] != "#") == sorted([*addresses, addresses[0]])
    assert set(URL.findall(shown.text)) == set(addresses)
    (search,) = Page(render_issue(issue).html).links
    assert search == f"https://scholar.google.com/scholar?q={quote(base.paper.title, safe='')}"


@pytest.mark.parametrize("title", ['"><script>&x=1#?%00\u202e', "é" * 500, "[1] $x^2$", ""])
def test_the_search_for_any_title_is_one_safe_address(title: str) -> None:
    """Without a link of its own and a page of ours, a title still leads somewhere."""
    address = search_url(title)
    assert re.fullmatch(r"https://scholar\.google\.com/scholar\?q=[\w.~%-]*", address, re.ASCII)
    assert len(address) < 1000


def test_an_id_leads_to_its_site_whatever_the_url() -> None:
    """A feed with addresses of its own does not cost a paper its link to arXiv or its DOI."""
    paper = replace(issues.issue().papers[0], url="https://feeds.example/1", arxiv_id=None, doi="10.1/x")
    assert known_url(paper) == "https://doi.org/10.1/x"
    assert known_url(replace(paper, arxiv_id="2606.00001")) == "https://arxiv.org/abs/2606.00001"
    assert known_url(replace(paper, doi=None)) is None


def test_a_paper_is_named_beside_its_link() -> None:
    """bad-342: a title that claims to be another address stands beside the identity of its target."""
    whole = issues.issue()
    paper = replace(whole.themes[0].items[0].paper, title="https://bank.example/login")
    item = replace(whole.themes[0].items[0], paper=paper)
    page = Page(render_issue(replace(whole, themes=(Theme("A theme", (item,)),))).html)
    assert "https://bank.example/login" not in page.hrefs
    assert in_order(page.text, ["https://bank.example/login", "arXiv:2606.04237"])


def hostile(texts: list[str]) -> Iterator[Issue]:
    """Yield issues with the strings wherever a stranger's text, or a person's, may stand."""
    base = issues.issue()
    item = base.themes[0].items[0]
    for start in range(0, len(texts), 12):
        some, items = texts[start : start + 12], []
        for text in some:
            paper = replace(item.paper, title=text, authors=(text, "b"), abstract=text or "x")
            claim = Claim(text, (1,), "supported")
            items.append(Item(paper, Reason("interest", f"{text}; more"), (claim,)))
        one = some[0]
        yield replace(
            base,
            overview=(Claim(one, (1,), "unverified"),),
            themes=(Theme(one, tuple(items)),),
            standing=(replace(base.standing[0], question=one, claims=()),),
            also=(replace(item.paper, title=one),),
            updates=(replace(item.paper, title=one),),
            citations=(replace(base.citations[0], quote=one, title=one),),
            mode="llm",
            model=one,
            notes=(one,),
        )


def test_no_attack_changes_a_mail() -> None:
    """bad-339, bad-340: with any attack string the elements are those of the same mail with harmless text.

    Nothing executes, nothing is loaded, no link is added, and both parts show the same addresses.
    """
    texts = attack_strings.texts()
    assert len(texts) > 1800
    for attacked in hostile([f"x {text}" for text in texts]):
        harmless = next(hostile(["x"] * len(attacked.themes[0].items)))
        shown, plain = (render_issue(i, links=issues.LINKS) for i in (attacked, harmless))
        page, wanted = Page(shown.html), Page(plain.html)
        assert page.shape == wanted.shape
        assert page.links == wanted.links
        assert page.comments == wanted.comments
        assert page.links <= set(URL.findall(shown.text))
        body = page.text.replace(shown.preheader, "", 1)  # which is cut, maybe within an address
        assert set(URL.findall(body.lower())) <= set(URL.findall(shown.text.lower()))  # with capital headings


def test_an_attack_alone_is_shown_harmlessly() -> None:
    """Strings that begin with the attack, or are nothing but controls, leave no element of their own."""
    allowed = {name for name, *_ in Page(render_issue(issues.issue(), links=issues.LINKS).html).shape}
    for attacked in hostile(attack_strings.texts()):
        shown = render_issue(attacked)
        assert {name for name, *_ in Page(shown.html).shape} <= allowed
        assert not {a for _, *names in Page(shown.html).shape for a in names if a.startswith("on")}
        assert all(c == "\n" or c.isprintable() for c in shown.text)


def test_what_hides_or_reorders_is_gone() -> None:
    """bad-338: controls, surrogates, bidi overrides, tags and stacked marks do not reach a mail."""
    text = "a\x00b\x1b[31m\u202ec\ud800d\U000e0041e\u200b\ufefff z" + "\u0301" * 50
    shown = render_issue(next(hostile([text])))
    for part in (shown.html, shown.text, shown.subject, shown.preheader):
        assert not set("\x00\x1b\u202e\ud800\U000e0041\u200b\ufeff") & set(part)
        assert "\u0301" * 4 not in part
        part.encode()


def test_a_marker_in_a_title_is_not_a_citation() -> None:
    """``[1]`` of a stranger looks different from ours."""
    shown = render_issue(next(hostile(["see [1] and [2, 3]"])))
    assert "see ［1］ and ［2, 3］" in shown.text


def big(papers: int, sentence: int, *, also: int = 40) -> Issue:
    """Return an issue of a given bulk."""
    base = issues.issue()
    item = base.themes[0].items[0]
    text = ("word " * sentence).strip()
    made = [
        Item(issues.paper(100 + n, f"Title {n} " + "of words " * 20, text), Reason("interest", "many words"),
             (Claim(text, (n,), "supported"),))
        for n in range(1, papers + 1)
    ]  # fmt: skip
    cited = tuple(issues.cite(n, m.paper, text) for n, m in enumerate(made, 1))
    more = tuple(replace(item.paper, title=f"Also {n} " + "x" * 200) for n in range(also))
    return replace(
        base,
        overview=(),
        standing=(),
        themes=(Theme("A", tuple(made)),),
        also=more,
        citations=cited,
        mode="llm",
    )


def test_a_usual_issue_is_far_from_being_clipped() -> None:
    """Fifteen papers with feedback links stay under 80 KB and nothing is shortened."""
    shown = render_issue(big(15, 40, also=5), links=issues.LINKS)
    assert len(shown.html.encode()) <= WARN_BYTES
    assert shown.notes == ()


def test_a_large_issue_is_shortened_where_it_hurts_least() -> None:
    """First the titles also noticed, then the quotes of the list; the papers stay, and it is said."""
    shown = render_issue(big(16, 110), links=issues.LINKS)
    assert len(shown.html.encode()) <= WARN_BYTES
    assert shown.html.count("<h3") == 16
    assert shown.notes[0].startswith("also noticed")
    assert "and 35 more" in shown.text or "and 40 more" in shown.text


def test_a_huge_issue_loses_its_last_papers() -> None:
    """bad-345: thirty papers of a thousand characters each still make a mail that is not clipped."""
    shown = render_issue(big(30, 230), links=issues.LINKS)
    assert len(shown.html.encode()) <= WARN_BYTES
    assert "the last paper left out" in shown.notes
    assert 5 < shown.html.count("<h3") < 30
    assert len(re.findall(r'id="s\d+"', shown.html)) == shown.html.count("<h3")


def test_an_issue_that_cannot_be_made_small_is_refused(tmp_path: Path) -> None:
    """Over 95 KB whatever is left out: an error, not a clipped mail."""
    (tmp_path / "issue.html.j2").write_text(
        f"<html><body>{'x' * MAX_BYTES} {{{{ issue.name }}}}</body></html>"
    )
    with pytest.raises(PaperAgentError, match=r"digest 2026-W26: the HTML has 95,\d+ bytes"):
        render_issue(issues.issue(), theme_dir=tmp_path)


def test_a_theme_replaces_a_template_and_escapes_all_the_same(tmp_path: Path) -> None:
    """A file of the folder wins over the packaged one of its name; the others stay."""
    (tmp_path / "issue.html.j2").write_text(
        "<html><head></head><body><b>{{ issue.subject }}</b></body></html>"
    )
    attacked = replace(issues.issue(), themes=(Theme("<script>", issues.issue().themes[0].items),))
    shown = render_issue(attacked, theme_dir=tmp_path)
    assert "&lt;script&gt;" in shown.html
    assert "<script>" not in shown.html
    assert shown.text == render_issue(attacked).text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ issue.nothing }}", "no attribute 'nothing'"),
        ("{% if %}", r"issue.html.j2 line 1"),
        ("{% include 'missing.j2' %}", "no template missing.j2"),
        ("{{ unknown }}", "'unknown' is undefined"),
    ],
)
def test_a_wrong_theme_is_named_with_its_fault(tmp_path: Path, template: str, message: str) -> None:
    """A theme's error is one line of configuration: which file, which line, what."""
    (tmp_path / "issue.html.j2").write_text(template)
    with pytest.raises(ConfigError, match=message) as caught:
        render_issue(issues.issue(), theme_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_the_same_issue_renders_the_same() -> None:
    """Rendering is a function of its arguments."""
    assert render_issue(issues.issue(), links=issues.LINKS) == render_issue(
        issues.issue(), links=issues.LINKS
    )


def test_a_mail_loads_nothing() -> None:
    """No image, font, style sheet or script is named; every style stands in the mail."""
    for html in (
        render_issue(issues.issue(), links=issues.LINKS).html,
        render_confirmation(token=issues.TOKEN).html,
    ):
        assert not re.search(
            r"<(img|script|link|iframe|object|embed|form|video|audio|svg)\b|url\(|@import", html
        )


def test_the_confirmation_says_how_to_confirm() -> None:
    """With a web page by a link, the same in both parts; without one by a code."""
    link = f"{issues.BASE}/confirm/{issues.TOKEN}"
    shown = render_confirmation(token=issues.TOKEN, link=link)
    assert Page(shown.html).links == set(URL.findall(shown.text)) == {link}
    bare = render_confirmation(token=issues.TOKEN)
    assert issues.TOKEN in bare.text
    assert issues.TOKEN in Page(bare.html).text
    assert not Page(bare.html).links


def test_an_issue_shows_its_themes_and_sources() -> None:
    """Also the title of each paper once per place, and every citation."""
    example = issues.issue()
    text = str(example)
    for theme in example.themes:
        assert theme.name in text
        for item in theme.items:
            assert readable(item.paper.title) in text
    assert "Sources\n[1]" in text
    assert len(repr(example)) < 250
    assert "<script" not in example._repr_html_()
