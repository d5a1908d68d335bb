"""`ask()` with a model that misbehaves: the rows of the shared bad inputs, and any reply at all.

The server is scripted and speaks real HTTP. Whatever it says, an answer keeps the contract.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_contract import check_document

import sample_library
from paperagent import Answer, EndpointError, PaperAgent
from paperagent.llm.chat import ChatModel
from paperagent.testing import Reply, ScriptedServer, error_reply, stream_reply
from sample_library import check_invariants

QUESTION = "How much of the prompt does Tindersift remove?"
KEY = "sk-" + "t3stKEY" * 5
CLAIM = "Tindersift removes 61% of the tokens in the prompt."
TRUE = {"text": CLAIM, "evidence": ["1.3"]}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Return a server that plays the model."""
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def agent(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperAgent]:
    """Return an agent of the sample library that answers with the scripted model and never waits."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
    monkeypatch.setenv("PAPERAGENT_CACHE", "false")
    with PaperAgent(sample_library.home(), embedder="none", mode="llm") as opened:
        opened._llms["test-model"] = ChatModel(
            "test-model", api_key=KEY, base_url=server.url, timeout=20, sleep=lambda _: None
        )
        yield opened


def reply(*claims: dict[str, Any], verdict: str = "answer", missing: str = "") -> dict[str, Any]:
    """Return the reply of a model that follows the schema."""
    return {"verdict": verdict, "claims": list(claims), "missing": missing, "queries": []}


def answer_to(agent: PaperAgent, server: ScriptedServer, *claims: dict[str, Any], **options: Any) -> Answer:
    """Reply with these claims and return the answer, after checking its contract; fallback is off."""
    server.enqueue_answer(reply(*claims))
    answer = agent.ask(QUESTION, fallback=False, **options)
    check_document(answer)
    check_invariants(answer, agent)
    return answer


def visible_text(answer: Answer) -> str:
    """Return all text of an answer that a user sees."""
    return json.dumps(answer.to_dict(), ensure_ascii=False)


def test_a_correct_claim_has_a_quote_from_the_library(agent: PaperAgent, server: ScriptedServer) -> None:
    """The reference for the rows below."""
    answer = answer_to(agent, server, TRUE)
    assert (answer.status, answer.mode, answer.model) == ("answered", "llm", "test-model")
    assert answer.claims[0].support in {"supported", "quoted"}
    assert answer.citations[0].title.startswith("Tindersift")
    assert answer.citations[0].quote in agent.get(answer.citations[0].paper_id).abstract
    assert answer.prompt_hash
    assert answer.usage.calls == 1
    assert QUESTION in server.history[0].messages[-1]["content"]


def test_row_079_a_refused_key(agent: PaperAgent, server: ScriptedServer) -> None:
    """401 is an EndpointError at once, without a retry and without the key; with fallback, a note."""
    server.enqueue(error_reply(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"))
    with pytest.raises(EndpointError) as caught:
        agent.ask(QUESTION, fallback=False)
    assert (caught.value.kind, caught.value.status, len(server.history)) == ("auth", 401, 1)
    assert KEY[:12] not in str(caught.value)
    assert KEY[:12] not in repr(caught.value)
    server.enqueue(error_reply(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"))
    answer = agent.ask(QUESTION)
    assert (answer.status, answer.mode, answer.fallback) == ("answered", "extractive", "auth")
    assert KEY[:12] not in visible_text(answer)


def test_row_080_a_server_that_is_down(agent: PaperAgent, server: ScriptedServer) -> None:
    """The EndpointError names the host and has the retrieved papers; with fallback, a note."""
    agent._llms["test-model"] = ChatModel(
        "test-model", base_url="http://127.0.0.1:9/v1", timeout=5, sleep=lambda _: None
    )
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9") as caught:
        agent.ask(QUESTION, fallback=False)
    assert caught.value.kind == "unreachable"
    assert [h.title[:10] for h in caught.value.hits][:1] == ["Tindersift"]
    answer = agent.ask(QUESTION)
    assert (answer.status, answer.fallback) == ("answered", "unreachable")
    assert "127.0.0.1:9" in answer.notes[-1]


DANGLING = [
    ("bad-081", ["9.9"]),
    ("bad-081", ["[9]"]),
    ("bad-081", ["9.99", "8.3"]),
    ("bad-082", ["2412.00001"]),
    ("bad-082", ["sha256:0123456789abcdef"]),
    ("bad-082", ["Tindersift"]),
]


@pytest.mark.parametrize(("row", "evidence"), DANGLING)
def test_invalid_citations(agent: PaperAgent, server: ScriptedServer, row: str, evidence: list[str]) -> None:
    """A claim that cites a sentence that was not shown is unsupported: withheld with a reason, or marked."""
    claim = {**TRUE, "evidence": evidence}
    answer = answer_to(agent, server, claim)
    assert (answer.status, answer.reason) == ("abstained", "withheld_unsupported")
    assert any(n.startswith("withheld: ") and n.endswith(")") for n in answer.notes)
    marked = answer_to(agent, server, claim, unsupported="mark")
    assert [c.support for c in marked.claims] == ["unsupported"]
    assert marked.claims[0].checks["dangling"]


def test_row_081_an_invalid_citation_beside_a_valid_one(agent: PaperAgent, server: ScriptedServer) -> None:
    """The valid one supports the claim; a note reports the other."""
    answer = answer_to(agent, server, {**TRUE, "evidence": ["1.99", "1.3"]})
    assert [(c.support in {"supported", "quoted"}, c.checks["repointed"]) for c in answer.claims] == [
        (True, True)
    ]
    assert len(answer.citations) == 1


def test_row_083_a_made_up_quote(agent: PaperAgent, server: ScriptedServer) -> None:
    """Text that no abstract contains is never shown as a quote: the program adds the quotes."""
    invented = {"text": "“Tindersift removes 99% of the tokens”, the authors write.", "evidence": ["1.3"]}
    answer = answer_to(agent, server, invented)
    assert "99%" not in answer.answer
    marked = answer_to(agent, server, invented, unsupported="mark")
    assert marked.claims[0].support in {"unsupported", "unverified"}
    assert "99%" not in marked.citations[0].quote


def test_row_084_a_quote_is_a_whole_sentence(agent: PaperAgent, server: ScriptedServer) -> None:
    answer = answer_to(agent, server, {"text": "61% of the tokens.", "evidence": ["1.3"]})
    assert all(len(c.quote.split()) > 3 and c.quote.endswith(".") for c in answer.citations)
    assert answer.citations


def test_row_085_a_claim_without_evidence(agent: PaperAgent, server: ScriptedServer) -> None:
    """Uncited claims are withheld with a reason, or marked; they never count as supported."""
    bare = {**TRUE, "evidence": []}
    answer = answer_to(agent, server, bare)
    assert (answer.status, answer.reason) == ("abstained", "withheld_unsupported")
    assert [c.support for c in answer_to(agent, server, bare, unsupported="mark").claims] == ["uncited"]


def test_row_086_an_empty_reply(agent: PaperAgent, server: ScriptedServer) -> None:
    """It is requested once more; then it is an EndpointError."""
    server.responder = lambda _: ""
    with pytest.raises(EndpointError) as caught:
        agent.ask(QUESTION, fallback=False)
    assert caught.value.kind == "empty"
    assert len(server.history) <= 4
    assert caught.value.hits


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
def test_row_087_a_refusal(
    server: ScriptedServer, agent: PaperAgent, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """The status is refused, the text says so, and the reply is not cached."""
    delta = {"refusal": "I cannot help with that."} if reason == "refusal" else {"content": ""}
    finish = "content_filter" if reason == "content_filter" else "stop"
    for _ in range(2):
        server.enqueue(stream_reply(delta, finish_reason=finish))
        answer = agent.ask(QUESTION, cache=True)
        assert (answer.status, answer.claims) == ("refused", ())
        assert "refused" in answer.answer
        check_document(answer, reasons={"refused_by_model"})
    assert len(server.history) == 2


def test_row_088_a_reply_of_200_kilobytes(agent: PaperAgent, server: ScriptedServer) -> None:
    """An endless reply is cut at the limit; claims checked before are kept, and the status is incomplete."""
    long = (
        json.dumps(reply(TRUE))[:-40] + ", " + '{"text": "More and more.", "evidence": [' + '"1.1", ' * 28_000
    )
    server.responder = lambda _: long
    answer = agent.ask(QUESTION, fallback=False)
    check_document(answer, reasons={"truncated", "too_long"})
    check_invariants(answer, agent)
    assert answer.status == "incomplete"
    assert len(visible_text(answer)) < 20_000


def test_row_094_a_timeout(agent: PaperAgent, server: ScriptedServer) -> None:
    """A missed deadline is an EndpointError of that kind."""
    agent._llms["test-model"] = ChatModel("test-model", base_url=server.url, timeout=0.2)
    server.enqueue(Reply(delay=5))
    with pytest.raises(EndpointError) as caught:
        agent.ask(QUESTION, fallback=False)
    assert caught.value.kind in {"deadline", "timeout"}


ROWS = {row for row, _ in DANGLING} | {
    f"bad-{name[9:12]}" for name in list(globals()) if name.startswith("test_row_")
}
"""What is covered here, for `test_bad_inputs_ask`."""

# --- any reply ---

_POINTERS = st.one_of(
    st.sampled_from(["1.1", "1.3", "2.2", "6.9", "9.9", "[1.2]", "1", "", "𝟙.1"]), st.text(max_size=5)
)
_TEXTS = st.one_of(
    st.sampled_from(
        [
            CLAIM,
            "Tindersift removes 16% of the tokens.",
            "It costs less [1] [99] and more.",
            "![x](https://evil.example/?q=1) \x1b[2J <script>alert(1)</script>",
            "Ignore the passages.",
        ]
    ),
    st.text(max_size=60),
)
_CLAIMS = st.fixed_dictionaries({"text": _TEXTS, "evidence": st.lists(_POINTERS, max_size=3)})
_REPLIES = st.one_of(
    st.text(max_size=80),
    st.fixed_dictionaries(
        {
            "verdict": st.sampled_from(["answer", "abstain", "search", "maybe"]),
            "claims": st.lists(_CLAIMS, max_size=4),
            "missing": _TEXTS,
            "queries": st.lists(st.text(max_size=20), max_size=4),
        }
    ),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=_REPLIES, policy=st.sampled_from(["withhold", "mark", "repair"]), fallback=st.booleans())
def test_the_contract_holds_for_any_reply(
    agent: PaperAgent, server: ScriptedServer, said: Any, policy: str, *, fallback: bool
) -> None:
    """The result is a valid answer or an EndpointError; never the model's links or escapes."""
    server.responder = lambda _: said
    try:
        answer = agent.ask(QUESTION, unsupported=policy, fallback=fallback)
    except EndpointError:
        assert not fallback
        return
    check_document(answer, reasons={"refused_by_model", "truncated"})
    check_invariants(answer, agent)
    text = visible_text(answer)
    assert "\\u001b" not in text
    assert "\x1b" not in text
    assert "evil.example" not in text
