"""Answers called good or bad in chat, and the cases made of them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from test_chat import talk

from fake_agent import COMPARED, SINGLE, FakeAgent
from paperagent.errors import EvalError
from paperagent.evals import cases, feedback
from paperagent.evals.feedback import save_feedback
from paperagent.types import Answer
from scripted_agent import GOOD, QUESTION, reply, scripted_agent

ABSTAINED = Answer("Who?", "abstained", "no_evidence", "The abstracts do not say.")


def test_good_and_bad_keep_the_last_answer(tmp_path: Path) -> None:
    """Each writes a line with verdict, note and the history that the answer was made with."""
    path = tmp_path / "feedback.jsonl"
    lines = ("a?", "b?", "/good as it should be", "/bad")
    talk(FakeAgent(SINGLE, COMPARED), *lines, feedback=path)
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert (first["verdict"], first["note"], second["verdict"]) == ("good", "as it should be", "bad")
    assert first["history"] == [[SINGLE.question, SINGLE.answer]]
    assert first["answer"] == COMPARED.to_dict()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("feedback", [None, Path("/nonexistent/feedback.jsonl")])
def test_what_cannot_be_kept_is_said_and_the_chat_goes_on(feedback: Path | None) -> None:
    """Without a place, or with one that cannot be written, one line says so."""
    code, printed, _ = talk(FakeAgent(SINGLE, SINGLE), "a?", "/good", "b?", feedback=feedback)
    assert code == 0
    assert "/save FILE.json" in printed or "cannot be written" in printed


def test_doctor_knows_what_answers_leave_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of replies and the kept answers are no stranger's files."""
    with scripted_agent(monkeypatch, tmp_path / "library") as model:
        answer = model.ask(reply(GOOD), question=QUESTION, cache=True)
        save_feedback(model.agent.home / "feedback.jsonl", answer, [], good=True)
        assert {"answers.db", "feedback.jsonl"} <= {p.name for p in model.agent.home.iterdir()}
        (folder,) = [c.detail for c in model.agent.doctor().checks if c.name == "folder"]
    assert folder == "no unexpected files"


def test_before_any_answer_there_is_nothing_to_keep(tmp_path: Path) -> None:
    """/good asks for a question first."""
    _, printed, _ = talk(FakeAgent(), "/good", feedback=tmp_path / "f.jsonl")
    assert "no answer yet" in printed
    assert not list(tmp_path.iterdir())


def _kept(tmp_path: Path, answer: Answer, *, good: bool) -> feedback.FeedbackRecord:
    path = tmp_path / "f.jsonl"
    save_feedback(path, answer, [("Before?", "That.")], good=good, note="why")
    return feedback.read_feedback(path)[-1]


def test_a_good_answer_is_its_own_evidence(tmp_path: Path) -> None:
    """The case wants the cited papers and sentences; the turns before come along."""
    case = feedback.case_from_feedback(_kept(tmp_path, SINGLE, good=True))
    assert case.gold_ids == tuple(dict.fromkeys(c.paper_id for c in SINGLE.citations))
    assert case.evidence == tuple(c.quote for c in SINGLE.citations)
    assert (case.kind, case.history, case.notes) == ("followup", (("Before?", "That."),), "why")


def test_a_bad_answer_must_not_be_given_again(tmp_path: Path) -> None:
    """Its claims are what the next answer must not say."""
    case = feedback.case_from_feedback(_kept(tmp_path, SINGLE, good=False))
    assert case.must_not == tuple(c.text for c in SINGLE.claims)
    assert not case.evidence


@pytest.mark.parametrize(("good", "answerable"), [(True, False), (False, True)])
def test_an_abstention_that_was_right_or_wrong(tmp_path: Path, *, good: bool, answerable: bool) -> None:
    """A good abstention is an unanswerable question, a bad one an answerable one."""
    assert feedback.case_from_feedback(_kept(tmp_path, ABSTAINED, good=good)).answerable is answerable


def test_cases_are_added_once(tmp_path: Path) -> None:
    """Adding again adds nothing, and a file that lacks its last line end is not spoilt."""
    fresh = [feedback.case_from_feedback(_kept(tmp_path, SINGLE, good=True))]
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "mine", "question": "Mine?"}', "utf-8")
    assert feedback.add_cases(file, fresh) == fresh
    assert feedback.add_cases(file, fresh) == []
    assert [case.id for case in cases.load(file)] == ["mine", fresh[0].id]


def test_a_saved_answer_is_taken_too(tmp_path: Path) -> None:
    """What `ask --json` printed can be judged later; other JSON cannot."""
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(SINGLE.to_dict()), "utf-8")
    assert feedback.case_from_feedback(feedback.feedback_for_answer(path, good=True)).evidence
    path.write_text("[1]", "utf-8")
    with pytest.raises(EvalError, match="answer"):
        feedback.feedback_for_answer(path, good=True)


def test_nothing_kept_yet(tmp_path: Path) -> None:
    """A missing file says how to get one; a damaged line is named."""
    with pytest.raises(EvalError, match="/good"):
        feedback.read_feedback(tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text("{}\n", "utf-8")
    with pytest.raises(EvalError, match="line 1"):
        feedback.read_feedback(tmp_path / "bad.jsonl")
