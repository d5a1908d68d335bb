"""The page of a run."""

from __future__ import annotations

import html as stdlib_html
import json
import re
from html.parser import HTMLParser

import example_runs
import pytest

from paperagent.answering.abstention import Thresholds
from paperagent.evals.calibrate import ConfidenceSample, calibrate, sweep
from paperagent.evals.cases import Case
from paperagent.evals.report import html, plots
from paperagent.evals.results import ModelCall
from paperagent.layout import CONFIRMED, REPLACED, UNVERIFIED

VOID = {"meta", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text; checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def mixed() -> list[example_runs.Row]:
    return [
        example_runs.row(
            f"c{i:02}", right=i % 4 != 3, kind="ab"[i % 2], answerable=i % 3 != 0, confidence=i / 24,
            scores={"recall@1": 0.5, "recall@5": 1.0}, ms=20.0 + i,
        )
        for i in range(24)
    ] + [example_runs.error("e1", kind="a")]  # fmt: skip


def test_the_page_is_self_contained() -> None:
    """No script, no picture, no font, no style or frame from anywhere; the policy forbids them too."""
    rows = mixed()
    text = html.run_page(example_runs.run(rows), rows)
    page = Page(text)
    names = {name for name, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert not any(k.startswith("on") for _, attrs in page.tags for k in attrs)
    assert "default-src 'none'" in str(page.named("meta")[1]["content"])
    assert not re.search(r"url\(|@import|expression\(", text)


def test_every_case_can_be_opened() -> None:
    """One fold a case, wrong ones first, each with claim and cited sentence side by side."""
    rows = mixed()
    page = Page(html.run_page(example_runs.run(rows), rows))
    cases = [str(d["class"]) for d in page.named("details") if str(d["class"]).startswith("case")]
    assert len(cases) == 25
    assert cases == sorted(cases, key=lambda c: c == "case right")
    assert page.text.count(example_runs.SENTENCE) == 2 * 24
    assert "endpoint: gone" in page.text
    assert [i["id"] for i in page.named("input")] == ["all", "only-wrong", "only-right", "only-error"]


def test_every_plot_with_enough_data_is_drawn() -> None:
    """Reliability, precision by coverage, thresholds, recall and latency; cost where a model was called."""
    rows = mixed()
    drawn = {
        str(s["aria-label"])
        for s in Page(html.run_page(example_runs.run(rows), rows)).named("svg")
        if s["class"] == "plot"
    }
    assert drawn == {
        "Reliability of confidence", "Precision by coverage", "Errors by threshold", "Recall by depth",
        "time an answer",
    }  # fmt: skip
    priced = example_runs.hostile()
    assert "cost an answer" in html.run_page(example_runs.run(priced), priced)
    few = [example_runs.error("only")]
    assert not Page(html.run_page(example_runs.run(few), few)).named("svg")


def test_hostile_text_stays_text() -> None:
    """No text of a paper, case, model or error becomes markup, a link or an invisible character."""
    rows = example_runs.hostile()
    text = html.run_page(example_runs.run(rows, cases=example_runs.HOSTILE, model=example_runs.HOSTILE), rows)
    page = Page(text)
    harmless = Page(html.run_page(example_runs.run(mixed()), mixed()))
    assert {n for n, _ in page.tags} <= {n for n, _ in harmless.tags} | {"pre", "mark", "code", "rect"}
    assert "javascript:" not in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert text.count("</style>") == 1
    assert "alert(2)" in page.text


def test_a_failed_check_is_marked() -> None:
    """The claim's words that its sentence lacks are marked, and each failed check is named."""
    (bad, *_) = example_runs.hostile()
    shown = html.case_card(bad)
    assert "<mark>5.9%</mark>" in shown
    assert "<mark>improves</mark>" not in shown
    text = stdlib_html.unescape(re.sub("<[^>]+>", "|", shown))
    for words in (
        "✗ numbers",
        "✗ points at 9.9",
        "✗ [7] is nothing",
        "✗ the judge disagrees",
        "not supported by",
    ):
        assert words in text
    assert "✗ negation" not in text
    assert 'class="pair failed"' in shown
    assert 'class="pair failed"' not in html.case_card(example_runs.row("good"))


@pytest.mark.parametrize(
    ("support", "checks", "words", "style"),
    [
        ("unverified", {}, "unverified", "warn"),
        ("supported", {"judge": 0.93}, f"{CONFIRMED} (probability 0.93)", "good"),
        ("supported", {}, "supported", "good"),
        ("unverified", {"judge": 0.6}, "unverified (probability 0.60)", "warn"),
        ("unverified", {"judge": "partly"}, "unverified", "warn"),
        ("quoted", {"replaced": True}, f"quoted: {REPLACED}", "good"),
        ("unsupported", {"judge": 0.1}, "unsupported: not supported by its source (probability 0.10)", "bad"),
    ],
)
def test_a_claim_says_how_far_it_is_supported(
    support: str, checks: dict[str, object], words: str, style: str
) -> None:
    """Beside its sentence, in words and colour; only a refuted claim counts as failed."""
    claim = example_runs.claim("Networks get better.", support=support, **checks)
    shown = html.case_card(example_runs.row("c", answer=example_runs.answer([claim])))
    assert f'<span class="chip {style}">{words.replace(chr(39), "&#39;")}</span>' in shown
    assert ('class="pair failed"' in shown) is (style == "bad")
    assert ("✗ the judge disagrees" in shown) is (style == "bad")
    assert f"<blockquote>{example_runs.SENTENCE}" in shown


def test_the_sentence_under_a_claim_is_not_what_the_answer_says() -> None:
    """A text that only the sentence holds is not counted as said."""
    claim = example_runs.claim("Networks get better.", support="unverified")
    answer = example_runs.answer(
        [claim], answer=f"Networks get better. [1]\n> {UNVERIFIED} “{example_runs.SENTENCE}” [1]"
    )
    wanted = Case(id="c", question="What?", must_include=("4.2",), must_not=("30%",), kind="fact", k=None)
    shown = html.case_card(example_runs.row("c", answer=answer), wanted)
    assert '<span class="chip bad">✗</span>says: 4.2' in shown
    assert '<span class="chip good">✓</span>does not say: 30%' in shown


def test_a_withheld_claim_is_shown_with_its_reason() -> None:
    """What the answer lacks of the model's reply stands beside its sentences; what it has does not."""
    reply = {"claims": [{"text": example_runs.SENTENCE.replace("4.2", "5.9"), "evidence": ["1.1", "8.8"]},
                        {"text": example_runs.SENTENCE, "evidence": ["1.1"]}, "nonsense"]}  # fmt: skip
    call = ModelCall(schema_name="answer", text=json.dumps(reply), shown={"1.1": example_runs.SENTENCE})
    text = html.case_card(example_runs.row("c", raw=(call, ModelCall(schema_name="plan", text="[1"))))
    assert text.count('class="pair failed"') == 1
    assert "<mark>5.9%</mark>" in text
    assert "✗ numbers" in text
    assert "✗ points at 8.8, which was not shown" in text


def test_expectations_are_shown_with_the_cases() -> None:
    """Gold papers are marked among those retrieved, texts as said or not."""
    wanted = Case(
        id="c", question="What?", gold_titles=("Terranet",), must_include=("4.2|four",), must_not=("banana",),
        evidence=("uses less",), kind="fact", k=None,
    )  # fmt: skip
    shown = html.case_card(example_runs.row("c"), wanted)
    assert '<span class="chip good">gold</span>' in shown
    assert '<span class="chip good">✓</span>says: 4.2 or four' in shown
    assert '<span class="chip good">✓</span>does not say: banana' in shown
    assert "evidence: “uses less”" in shown
    none = Case(id="c", question="What?", answerable=False, kind="fact", k=None)
    assert "an abstention" in html.case_card(example_runs.row("c"), none)


@pytest.mark.parametrize("values", [[0.0], [0.0001, 0.0002], [3.0, 4.0, 97.0], [1e6, 2.5e6]])
def test_an_axis_of_amounts_holds_them_all(values: list[float]) -> None:
    """Ticks are round, few, and reach past the largest value."""
    axis = plots.amounts(values, "x", str)
    assert axis.high >= max(values)
    assert 2 <= len(axis.ticks) <= 7
    assert axis.ticks[0][0] == 0


def test_marks_stay_inside_the_plot() -> None:
    """Values outside an axis are drawn at its end."""
    plot = plots.Plot("t", plots.shares("x"), plots.shares("y", 0.5))
    for x, y in ((0, 0), (1, 1), (-5, 9), (0.5, 0.75)):
        a, b = plot.pixel(x, y)
        assert plots.LEFT <= a <= plots.WIDTH - plots.RIGHT
        assert plots.TOP <= b <= plots.HEIGHT - plots.BOTTOM
    assert plot.pixel(0.5, 0.75)[1] == pytest.approx((plots.TOP + plots.HEIGHT - plots.BOTTOM) / 2)


def test_a_step_keeps_its_height_until_the_next() -> None:
    """An error rate changes at its threshold, not on the way to it."""
    points = sweep([(0.2, True), (0.6, False)])
    drawn = plots.thresholds(points, [(0.4, "chosen")])
    assert drawn.count("<polyline") == 2
    assert ">chosen</text>" in drawn


def test_a_calibration_has_its_page() -> None:
    """Both thresholds are marked on the curves, before and after are said."""
    asked = [ConfidenceSample(f"g{i}", i / 40, i > 15) for i in range(40)]
    page = Page(html.calibration_page(calibrate(asked, before=Thresholds()), example_runs.HOSTILE))
    assert "abstain below" in page.text
    before = f"{Thresholds().abstain_below:.3f}".removeprefix("0")
    assert f"before: {before}" in page.text
    assert len(page.named("svg")) == 3
