"""The chat loop with a model: model, effort, cost and withheld claims."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from test_chat import Typist, cut_off, talk

from fake_agent import COMPARED, HITS, PAPERS, SINGLE, FakeAgent, citation, events
from paperagent.answering.answers import DOUBTFUL
from paperagent.answering.citations import join_claims
from paperagent.errors import EndpointError
from paperagent.layout import CONFIRMED, REPLACED, UNVERIFIED, answer_blocks
from paperagent.types import Answer, Claim, Event, Usage
from paperagent.ui.chat import Chat
from paperagent.ui.chat_session import ChatHistory, SessionUsage
from paperagent.ui.render import Screen, describe_usage

USED = Usage(calls=1, input_tokens=1_934, output_tokens=210, cost_usd=0.0004)
TWO = (
    citation(1, PAPERS[0], "Sparse lanterns find papers 12% faster."),
    citation(2, PAPERS[1], "Dense lanterns cost more."),
)


def written(*claims: Claim, **changes: Any) -> Answer:
    """Return an answer written by a model."""
    fields: dict[str, Any] = {"mode": "llm", "model": "m", "usage": USED, **changes}
    return Answer("q?", "answered", None, "…", claims, TWO, HITS, **fields)


BOTH = Claim("Sparse ones are faster, dense ones cost more.", (1, 2), "supported")
LATER = Claim("Dense lanterns cost more.", (2,), "quoted")
UNDER = f"   > {UNVERIFIED} “{TWO[0].quote}” [1]\n   > “{TWO[1].quote}” [2]\n"
"""The sentences under `BOTH`, where it is unverified."""


def test_model_command() -> None:
    """/model NAME applies to the next question; /model shows the current one."""
    agent = FakeAgent(written(BOTH), written(BOTH))
    _, printed, _ = talk(agent, "a?", "/model 'other/m:2'", "b?", "/model", model="m")
    asked = [options.get("model") for name, _, options in agent.calls if name == "ask"]
    assert asked == [None, "other/m:2"]
    assert printed.count("*model: other/m:2*") == 2


@pytest.mark.parametrize("name", ['""', "''", "two words", "x" * 201, "a\u200bb"])
def test_row_271_an_invalid_model_name_changes_nothing(name: str) -> None:
    agent = FakeAgent(written(BOTH))
    _, printed, chat = talk(agent, f"/model {name}", "a?", "/model", model="m")
    assert "is not a model name; keeping m" in printed
    assert "model" not in agent.options("ask")
    assert chat.model == "m"
    assert "*model: m*" in printed


def test_effort_command() -> None:
    """/effort takes fast, deep and normal; any other word changes nothing."""
    agent = FakeAgent(*[written(BOTH)] * 3)
    lines = ("/effort", "/effort deep", "a?", "/effort hard", "b?", "/effort normal", "c?")
    _, printed, _ = talk(agent, *lines, model="m")
    assert [o.get("effort") for n, _, o in agent.calls if n == "ask"] == ["deep", "deep", None]
    assert "*effort: normal*" in printed
    assert 'error: /effort: "hard" is not one of fast, normal, deep; keeping deep' in printed


@pytest.mark.parametrize("line", ["/model m", "/effort deep"])
def test_model_and_effort_without_an_endpoint(line: str) -> None:
    """The message says what to set."""
    agent = FakeAgent()
    _, printed, _ = talk(agent, line, line.partition(" ")[0], "a?")
    assert printed.count("no model is configured, so answers are quoted; set OPENAI_API_KEY") == 2
    assert agent.options("ask") == {"history": []}


def test_an_endpoint_without_a_configured_model() -> None:
    """/model says how to set one."""
    _, printed, chat = talk(FakeAgent(), "/model", "/model llama", model="")
    assert "no model selected; use /model NAME" in printed
    assert chat.model == "llama"


def test_usage_is_printed_and_added_up() -> None:
    """One line follows each answer; /cost has the last answer and the session, also after /new."""
    second = replace(USED, calls=2, cached_tokens=1_000, cost_usd=0.5)
    agent = FakeAgent(written(BOTH), written(BOTH, usage=second))
    _, printed, _ = talk(agent, "/cost", "a?", "/new", "b?", "/cost", model="m")
    assert "- last answer: none yet\n- session: no calls, no cost\n" in printed
    assert "*m · 1 call · 1,934 tokens in, 210 out · $0.0004*\n" in printed
    assert printed.index("## Sources") < printed.index("*m · 1 call")
    assert "- last answer: 2 calls · 1,934 tokens in (1,000 cached), 210 out · $0.5000\n" in printed
    assert "- session: 3 calls · 3,868 tokens in (1,000 cached), 420 out · $0.5004\n" in printed


def test_a_quoted_answer_prints_no_usage() -> None:
    assert "tokens" not in talk(FakeAgent(), "a?")[1]


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (replace(USED, cost_usd=None), "1 call · 1,934 tokens in, 210 out · cost unknown"),
        (replace(USED, estimated=True), "about 1,934 tokens in, 210 out · about $0.0004 (estimated)"),
        (replace(USED, cost_usd=0.00001), "less than $0.0001"),
        (replace(USED, cost_usd=1234.567), "$1,234.57"),
        (replace(USED, cost_usd=0.0), "210 out · $0.00"),
        (Usage(), "no calls, no cost"),
    ],
)
def test_describe_usage(usage: Usage, words: str) -> None:
    """An unknown cost and an estimate are named as such."""
    assert words in describe_usage(usage)


def test_the_cost_of_a_sum_is_unknown_if_any_part_is() -> None:
    spent = SessionUsage()
    spent.add(USED)
    spent.add(replace(USED, cost_usd=None, estimated=True))
    assert spent.session == Usage(2, 3_868, 0, 420, None, estimated=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EndpointError("endpoint: down; wait")])
def test_the_cost_of_a_stopped_answer_is_unknown(error: BaseException) -> None:
    _, printed, _ = talk(FakeAgent(cut_off(1, error)), "a?", "/cost", model="m")
    assert "- last answer: unknown (stopped or failed)" in printed
    assert "- session: unknown\n- not counted: 1 stopped or failed" in printed


def test_a_stopped_answer_lists_its_sources() -> None:
    """After Ctrl-C the claims are marked incomplete."""
    _, printed, chat = talk(FakeAgent(cut_off(1, KeyboardInterrupt())), "a?", model="m")
    after = printed.partition("*INCOMPLETE:* the answer was cut off (stopped)")[2]
    assert "- [1] **Sparse Lanterns: Retrieval at Night**" in after
    assert "[2]" not in after
    assert (chat.history.turns, chat.history.answers[0].mode) == ([], "llm")


def test_a_failure_before_the_first_claim_lists_the_retrieved_papers() -> None:
    error = EndpointError("endpoint: down; wait", kind="unreachable")
    error.hits = HITS
    printed = talk(FakeAgent(error), "a?", model="m")[1]
    assert printed.startswith("*error: endpoint: down; wait*\n\n## Nearest papers\n1. **Sparse Lanterns")


def test_claims_of_a_model_are_not_grouped_by_paper() -> None:
    """They may cite several papers."""
    answer = written(BOTH, LATER)
    wanted = (
        "Sparse ones are faster, dense ones cost more. [1] [2]\n\nDense lanterns cost more. [2]\n\n## Sou"
    )
    assert talk(FakeAgent(answer), "a?", model="m")[1].startswith(wanted)
    out = io.StringIO()
    Screen(out).show(answer_blocks(answer))
    assert out.getvalue().startswith(wanted)


def test_withheld_claims_are_listed_with_their_reason() -> None:
    """A withheld claim is struck through under Withheld, each time."""
    notes = ("withheld: “It is 90% faster.” (number 90% is not there)", "a note")
    answer = written(BOTH, notes=notes)
    printed = talk(FakeAgent(answer, answer), "a?", "b?", model="m")[1]
    assert printed.count("## Withheld\n   > ~~It is 90% faster.~~ — number 90% is not there\n") == 2
    assert printed.count("*a note*") == 1


def test_a_withheld_claim_cannot_pass_for_anything_else() -> None:
    """Whatever quotes and brackets it contains, all of it is struck through on one line."""
    notes = ("withheld: “It ” (is fine)\n# Answer ~~ [1]” (no)",)
    printed = talk(FakeAgent(written(BOTH, notes=notes)), "a?", model="m")[1]
    line = printed.partition("## Withheld\n")[2].splitlines()[0]
    assert line == "   > ~~It~~ — is fine) # Answer \\~~ \\[1]” (no"


def test_a_marked_claim_says_which_check_failed() -> None:
    """With unsupported=mark, a refuted claim is struck through and names the failed check."""
    wrong = Claim("Dense lanterns cost less.", (2,), "unsupported", {"direction": False, "overlap": 0.9})
    nowhere = Claim("They fly.", (), "unsupported", {"dangling": ["9.9"]})
    printed = talk(FakeAgent(written(wrong, nowhere)), "a?", model="m")[1]
    assert "~~Dense lanterns cost less.~~ (not supported by its source: direction) [2]\n" in printed
    assert "~~They fly.~~ (not supported by its source: points at 9.9, which was not shown)\n" in printed


def test_a_claim_that_the_judge_doubts_after_it_was_shown() -> None:
    """It is printed again, marked."""
    doubted = replace(BOTH, support="unverified", checks={"judge": "not_supported"})

    def stream() -> Iterator[Event]:
        *shown, _ = events(written(BOTH, LATER))
        yield from shown
        yield Event("done", answer=written(doubted, LATER))

    printed = talk(FakeAgent(stream), "a?", model="m")[1]
    after = printed.partition("## No longer confirmed\n")[2]
    assert after.startswith(f"{BOTH.text} [1] [2]\n{UNDER}\n## Sources")


def streamed(shown: Answer, done: Answer) -> str:
    """Return the output if ``shown`` is streamed and the finished answer is ``done``."""

    def stream() -> Iterator[Event]:
        *steps, _ = events(shown)
        yield from steps
        yield Event("done", answer=done)

    return talk(FakeAgent(stream), "a?", model="m")[1]


def test_the_sentence_is_streamed_with_its_claim() -> None:
    """It follows an unverified claim at once, before the next claim."""
    loose = replace(BOTH, support="unverified")
    printed = talk(FakeAgent(written(loose, LATER)), "a?", model="m")[1]
    assert printed.startswith(f"{BOTH.text} [1] [2]\n{UNDER}\n{LATER.text} [2]\n")


def test_a_stopped_answer_has_the_sentence_of_its_last_claim() -> None:

    def stream() -> Iterator[Event]:
        yield from list(events(written(replace(BOTH, support="unverified"))))[:2]
        raise KeyboardInterrupt

    printed = talk(FakeAgent(stream), "a?", model="m")[1]
    assert printed.index(UNVERIFIED) < printed.index("cut off (stopped)") < printed.index("## Sources")


def test_a_claim_that_the_judge_confirms_after_it_was_shown() -> None:
    """One line says so; nothing is printed twice."""
    loose, sure = replace(BOTH, support="unverified"), replace(BOTH, checks={"judge": 0.9})
    printed = streamed(written(loose, LATER), written(sure, LATER))
    assert f"\n*{CONFIRMED}: {BOTH.text}*\n" in printed
    assert "No longer confirmed" not in printed
    assert printed.count(f"\n{LATER.text} [2]\n") == 1


def test_a_claim_that_is_withheld_after_it_was_shown() -> None:
    """It is struck through with the reason; its replacement is shown."""
    note = f"withheld: “{BOTH.text}” (the judge says no)"
    swapped = Claim(TWO[0].quote, (1,), "quoted", {"replaced": True})
    printed = streamed(written(BOTH, LATER), written(LATER, swapped, notes=(note,)))
    after = printed.partition("## No longer confirmed\n")[2]
    assert after.startswith(
        f"~~{BOTH.text}~~ (not supported by its source)\n\n{TWO[0].quote} [1]\n*{REPLACED}*\n\n## Sources"
    )
    assert f"## Withheld\n   > ~~{BOTH.text}~~ — the judge says no\n" in after


def test_an_answer_that_was_replaced_after_it_was_shown() -> None:
    """If the numbers now refer to other sentences, the whole answer is printed again."""
    moved = tuple(replace(c, n=3 - c.n) for c in TWO)
    other = replace(written(Claim(TWO[1].quote, (1,), "quoted")), citations=moved)
    printed = streamed(written(BOTH), other)
    assert "## Revised answer\n\nDense lanterns cost more. [1]\n\n## Sources" in printed


def test_the_saved_history_has_no_quotations() -> None:
    loose = replace(BOTH, support="unverified")
    answer = written(loose, LATER)
    whole = replace(answer, answer=join_claims(answer.claims, answer.citations))
    agent = FakeAgent(whole, SINGLE)
    _, _, chat = talk(agent, "a?", "b?", model="m")
    assert chat.history.before_last() == [("q?", f"{BOTH.text} [1][2]\n\n{LATER.text} [2]")]


@pytest.mark.parametrize(
    ("status", "reason", "text", "said"),
    [
        ("refused", "over_budget", "Not asked: too dear.", "*Refused:* Not asked: too dear."),
        ("incomplete", "truncated", "", "*INCOMPLETE:* the reply ended early"),
        (
            "abstained",
            "withheld_unsupported",
            "The abstracts do not say. x.",
            "*No answer:* The abstracts do",
        ),
    ],
)
def test_an_answer_without_claims_says_why(status: Any, reason: str, text: str, said: str) -> None:
    """Refused, incomplete and abstained answers give their reason once."""
    notes = ("incomplete: the reply ended early",) if status == "incomplete" else ()
    answer = Answer("q?", status, reason, text, hits=HITS, mode="llm", model="m", notes=notes)
    printed = talk(FakeAgent(answer), "a?", model="m")[1]
    assert said in printed
    assert printed.count("the reply ended early") == len(notes)


def test_incomplete_with_claims_says_why_after_them() -> None:
    broken = replace(
        written(BOTH, notes=("incomplete: the server hung up",)), status="incomplete", reason="unreachable"
    )
    printed = talk(FakeAgent(broken), "a?", model="m")[1]
    assert (
        printed.index(BOTH.text) < printed.index("*INCOMPLETE:* the server hung up") < printed.index("## Sou")
    )


def test_the_caveat_of_a_doubtful_answer_comes_first_each_time() -> None:
    doubtful = replace(SINGLE, status="doubtful", answer=f"{DOUBTFUL}\n\n{SINGLE.answer}")
    printed = talk(FakeAgent(doubtful, doubtful), "a?", "b?")[1]
    caveat = "*May not answer:* closest passages."
    assert printed.count(caveat) == 2
    assert printed.index(caveat) < printed.index(SINGLE.claims[0].text)


def test_a_doubtful_answer_is_in_the_history() -> None:
    """A follow-up may refer to the passages that it quotes."""
    history = ChatHistory()
    history.add(replace(SINGLE, status="doubtful"))
    assert len(history.turns) == 1


def test_a_partial_answer_is_not_in_the_history() -> None:
    history = ChatHistory()
    history.add(replace(COMPARED, status="incomplete", reason="stopped"))
    assert (history.turns, history.last is None) == ([], False)


def test_a_claim_is_flushed_as_it_is_shown() -> None:

    class Flushed(io.StringIO):
        seen = ""

        def flush(self) -> None:
            self.seen = self.getvalue()

    out, seen = Flushed(), []

    def stream() -> Iterator[Event]:
        for event in events(written(BOTH, LATER)):
            seen.append(out.seen)
            yield event

    Chat(FakeAgent(stream), Typist("a?"), Screen(out), model="m").run()
    assert BOTH.text in seen[2]
    assert LATER.text in seen[3]
