"""Issues made by hand, for the tests of what is shown and sent. The papers are invented."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from paperagent.digest.issue import Issue, Item, Period, Reason, StandingAnswer, Theme
from paperagent.digest.links import SubscriberLinks, paper_path
from paperagent.text.readable import readable
from paperagent.types import Citation, Claim, Paper

WEEK = Period("2026-W26", dt.date(2026, 6, 22), dt.date(2026, 6, 28))
TOKEN = "eyJhIjoxLCJlbWFpbCI6InJlYWRlckB0ZXN0LmV4YW1wbGUifQ.aGVsbG8gd29ybGQ.Zm9vYmFyYmF6cXV4"  # noqa: S105 - of no secret
BASE = "https://papers.test.example"
LINKS = SubscriberLinks(
    unsubscribe=f"{BASE}/unsubscribe/{TOKEN}",
    mailto="mailto:papers@test.example?subject=unsubscribe%20reader",
    preferences=f"{BASE}/preferences/{TOKEN}",
    archive=f"{BASE}/archive/2026-W26.html",
    feedback=lambda paper_id, kind: f"{BASE}/feedback/{TOKEN}?paper={paper_id}&kind={kind}",
    paper=lambda paper_id: f"{BASE}{paper_path(paper_id)}",
)

_TEXTS = (
    (
        "Retrieval that knows when to stop",
        (
            "Tindersift: Filtering Retrieved Passages Before They Reach the Model",
            (
                "On four domains, Tindersift removes 61% of the prompt's tokens while answer accuracy falls "
                "by only 0.4 points, from 71.8 to 71.4."
            ),
            Reason("interest", "retrieval-augmented generation"),
        ),
        (
            "R$^2$AG: Sub-$\\mathcal{O}(n\\log n)$ Retrieval with $\\alpha$-Bounded Regret",
            (
                "Our index takes 3.2\\,ms on $10^{9}$ vectors, 4.7$\\times$ faster than a graph of "
                "the same recall."
            ),
            Reason("interest", "retrieval-augmented generation"),
        ),
        (
            "Abstaining Readers: When the Evidence Does Not Say",
            (
                "A reader trained on 12,000 unanswerable questions abstains on 91.3\\% of them and "
                "loses 1.1 points on the answerable ones."
            ),
            Reason("question", "Does any method reduce hallucination without fine-tuning?"),
        ),
    ),
    (
        "Tutors and assessment",
        (
            "Socratic Nudges: A Randomised Trial of Dialogue Tutors in First-Year Programming",
            (
                "In a trial with 1,284 students, those asked questions solved 17% more exercises a week "
                "later than those who were shown the answer."
            ),
            Reason("liked", "Hints Beat Answers in Introductory Programming"),
        ),
        (
            "Rubric Drift in Automated Essay Scoring",
            ("Scores of the same essays fell by 0.31 points of six between two versions of one model."),
            Reason("category", "cs.CY"),
        ),
    ),
    (
        "Small models on small machines",
        (
            "Corrivane: 4-Bit Weights with 2-Bit Outliers",
            "Corrivane keeps 99.1% of the accuracy of a 7-billion-parameter model in 3.4 GB of memory.",
            Reason("upvotes", "118"),
        ),
        (
            "Bytes, Not Tokens: Multilingual Encoders under 30 Million Parameters",
            "On 102 languages the byte encoder is within 2.0 points of a tokenised one five times its size.",
            Reason("central", ""),
        ),
        (
            "Speculative Decoding on a Phone: What the Battery Says",
            (
                "Drafting with a 60M model lowers energy a token by 38% on three phones, and adds 6% "
                "on a fourth."
            ),
            Reason("interest", "on-device inference"),
        ),
    ),
)
_NAMES = ("Ada Quillfeather", "Bram Oosterwijk", "Chiamaka Eze", "Dmitri Halvorsen", "Élodie Marchetti")


def paper(number: int, title: str, abstract: str, **changes: object) -> Paper:
    """Return an invented paper of the week."""
    made = Paper(
        f"2606.{number:05d}",
        title,
        abstract,
        authors=_NAMES[: 1 + number % 5],
        published=dt.date(2026, 6, 22 + number % 7),
        categories=("cs.CL",),
        url=f"https://arxiv.org/abs/2606.{number:05d}",
        arxiv_id=f"2606.{number:05d}",
        version=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def cite(n: int, of: Paper, quote: str) -> Citation:
    """Return citation ``n`` of a sentence of ``of``."""
    start = of.abstract.index(quote)
    return Citation(n, of.paper_id, of.title, of.url, quote, start, start + len(quote))


def quoted(citation: Citation) -> Claim:
    """Return the claim that quotes ``citation``."""
    return Claim(readable(citation.quote), (citation.n,), "quoted")


def issue() -> Issue:
    """Return an issue of eight papers in three themes, with everything an issue can hold."""
    citations: list[Citation] = []
    themes, number = [], 4100
    for name, *texts in _TEXTS:
        items = []
        for title, sentence, reason in texts:
            number += 137
            one = paper(number, title, f"We study a thing. {sentence} The code is public.")
            citations.append(cite(len(citations) + 1, one, sentence))
            items.append(Item(one, reason, (quoted(citations[-1]),)))
        themes.append(Theme(name, tuple(items)))
    said = [quoted(citations[0]), quoted(citations[3]), quoted(citations[5])]
    standing = (
        StandingAnswer("Does any method reduce hallucination without fine-tuning?", (quoted(citations[2]),)),
        StandingAnswer("Anything new on watermarking of generated text?"),
    )
    also = tuple(
        paper(9000 + i, f"Also of Interest, Part {i}: A Longer Title That Wraps on Any Phone Screen", "x")
        for i in range(1, 6)
    )
    updates = (
        paper(3101, "Hints Beat Answers in Introductory Programming", "x", version=2),
        paper(3202, "A Result That Did Not Hold", "x", withdrawn=True),
    )
    return Issue(WEEK, tuple(said), tuple(themes), standing, also, updates, tuple(citations), screened=1704)


def written() -> Issue:
    """Return the issue as a model would have written it: other words than the abstracts'."""
    base = issue()
    claims = {n: Claim(f"In short, finding {n} holds up.", (n,), "supported") for n in range(1, 9)}
    claims[2] = replace(claims[2], support="unverified")
    themes = tuple(
        replace(t, items=tuple(replace(i, claims=(claims[i.claims[0].citations[0]],)) for i in t.items))
        for t in base.themes
    )
    return replace(
        base, overview=(claims[1], claims[4]), themes=themes, mode="llm", model="some-model-4.1-mini"
    )
