"""Questions and conversations: the form, the streamed answers, downloads and ratings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from paperagent import arguments
from paperagent.errors import InputError, NoLibraryError
from paperagent.layout import counted, transcript
from paperagent.retrieval.question import clean_question
from paperagent.types import Answer, Paper, Usage
from paperagent.ui.answer_log import contains_secret
from paperagent.ui.chat_session import ChatHistory
from paperagent.ui.export import bibtex
from paperagent.web import access, http
from paperagent.web.conversation_store import Turn
from paperagent.web.html_screen import HtmlScreen
from paperagent.web.http import Route, not_found, page, see_other
from paperagent.web.turns import TurnRunner, paper_finder, show_finished

if TYPE_CHECKING:
    from paperagent.web.site import Site

MAX_QUESTION = 2_000
"""Characters of a question on the page."""
MAX_NOTE = 1_000
_LONG_QUESTION = 160
"""Characters of a question that is shown in smaller letters."""
PRIVATE = "private, no-store"
_DELETED = "There is no such conversation. It may have been deleted."
_TURNS = "<!-- turns -->"
"""Where the template has the turns. It cannot occur elsewhere in the page, because all text is escaped."""
_MODES: dict[str, str] = {
    "extractive": "Sentences quoted from the abstracts",
    "select": "Sentences quoted from the abstracts, chosen by a model",
    "llm": "Written by a model; each sentence is checked against the abstracts it cites",
    "library": "From the library’s database",
    "chat": "",
}
"""How an answer was made, or its kind → how the page says it."""
_EXPLANATIONS = {
    "off": "Only signed-in readers can ask questions here.",
    "extractive": "The answer quotes the best sentences of the abstracts. No language model is used.",
    "select": "A model chooses the sentences of the abstracts that answer the question.",
    "llm": "A model writes the answer. Each of its sentences is checked against the abstracts it cites.",
}


# --- asking ---


def ask_form(site: Site, request: Request) -> Response:
    """Show the form; ``?q=`` fills in the question, ``?paper=`` limits it to a paper."""
    query = request.query_params
    return _form(site, request, query.get("q", ""), query)


def ask(site: Site, request: Request) -> Response:
    """Start a conversation with a question."""
    form = request.state.form
    text = str(form.get("question", ""))
    try:
        question = checked_question(text)
        options = _checked_options(site, form)
    except InputError as error:
        return _form(site, request, text, form, problem=str(error))
    access.require_asking(site, request)
    with site.turns.starting():
        conversation = site.conversations.create(options, owner=access.visitor(site, request).user)
        site.conversations.delete_expired()
        return _start(site, request, conversation, options, question)


def follow_up(site: Site, request: Request) -> Response:
    """Ask a further question in a conversation."""
    conversation, options = _conversation(site, request)
    text = str(request.state.form.get("question", ""))
    try:
        question = checked_question(text)
    except InputError as error:
        return _form(site, request, text, options, problem=str(error))
    with site.turns.starting():
        return _start(site, request, conversation, options, question)


def checked_question(text: str) -> str:
    """Return a question in its normal form.

    Raises:
        InputError: It is empty, too long, or seems to contain a secret.
    """
    if len(text) > MAX_QUESTION:
        raise InputError(f"The question has {len(text):,} characters; at most {MAX_QUESTION:,} are allowed.")
    if contains_secret(text):
        raise InputError("This looks like an API key. It was neither sent nor stored.")
    try:
        return clean_question(text)
    except InputError:
        raise InputError("Please type a question in words.") from None


def _checked_options(site: Site, values: Any) -> dict[str, Any]:
    options = {name: str(values.get(name)) for name in ("since", "until") if values.get(name)}
    arguments.filters(options.get("since"), options.get("until"), None, None)
    if values.get("paper"):
        options["paper"] = _find(site, str(values.get("paper"))).paper_id
    return options


def _form(site: Site, request: Request, question: str, values: Any, *, problem: str = "") -> Response:
    name = str(values.get("paper") or "")
    paper = _find(site, name) if name else None
    return page(
        site,
        request,
        "ask.html.j2",
        status=422 if problem else 200,
        question=question[:MAX_QUESTION],
        paper=paper,
        since=str(values.get("since") or ""),
        until=str(values.get("until") or ""),
        problem=problem,
        explanation=_EXPLANATIONS[_planned_mode(site, request)],
        max_length=MAX_QUESTION,
        examples=[] if question else _examples(site, paper),
    )


def _examples(site: Site, paper: Paper | None) -> list[str]:
    """Return questions that fit the paper, or else the newest papers whose titles begin with a name."""
    if paper is not None:
        return ["What is new in it?", "How was it evaluated?", "Does it name limitations?"]
    try:
        titles = [p.title for p in site.agent.list(limit=100)]
    except NoLibraryError:
        return []
    names = [name for name, colon, _ in (t.partition(":") for t in titles) if colon and name.isalnum()][:2]
    questions = ["What's in this library?", *(f"What is {name}?" for name in names[:1])]
    return [*questions, f"How do {names[0]} and {names[1]} differ?"] if len(names) > 1 else questions


def _find(site: Site, paper_id: str) -> Paper:
    try:
        return site.agent.get(paper_id)
    except (InputError, NoLibraryError):
        raise not_found("The library has no paper with this id.") from None


def _planned_mode(site: Site, request: Request) -> str:
    mode = access.ask_mode(site, request)
    return site.settings.answer_mode if mode == "model" else mode


def _start(
    site: Site, request: Request, conversation: str, options: dict[str, Any], question: str
) -> Response:
    answers = [t.answer for t in site.conversations.turns(conversation) if t.answer is not None]
    question_options = ask_options(options, answers, _paper(site, options))
    plan = access.plan_answer(site, request)
    try:
        turn = site.conversations.add_turn(conversation, question, plan.mode)
        if turn is None:
            raise not_found(_DELETED)  # noqa: TRY301 - settled below, like any other failure
        site.turns.start(
            turn,
            {**question_options, "max_cost": plan.max_cost},
            answers,
            note=plan.note,
            settle=partial(_settle, site, plan),
        )
    except Exception:
        if plan.reservation is not None:
            site.spending.settle(plan.reservation, 0.0)
        raise
    return see_other(f"/c/{conversation}#t{turn.number}")


def _settle(site: Site, plan: access.AnswerPlan, answer: Answer | None) -> None:
    """Count an answer and settle its cost. The cost of an answer that was cut off is not known."""
    is_complete = answer is not None and answer.status != "incomplete"
    usage = answer.usage if answer is not None and is_complete else Usage()
    site.counters.add(
        asks=1,
        abstentions=answer is not None and answer.status == "abstained",
        model_calls=usage.calls,
        model_dollars=usage.cost_usd or 0.0,
    )
    if plan.reservation is not None:
        site.spending.settle(plan.reservation, usage.cost_usd if is_complete else None)


def ask_options(options: dict[str, Any], answers: list[Answer], paper: Paper | None) -> dict[str, Any]:
    """Return the options of `PaperAgent.ask_stream` for the next question of a conversation.

    Args:
        options: The options of the conversation.
        answers: The answers so far.
        paper: The paper that the conversation is about; "it" in the first question then means this paper.
    """
    result = {name: options.get(name) for name in ("since", "until")}
    history: list[Any] = [*_history(answers).turns]
    if paper is not None:
        history = [(paper.title, f"{paper.title} [1]", [paper.paper_id]), *history]
        result["ids"] = [paper.paper_id]
    return {**result, "history": history}


def _history(answers: list[Answer]) -> ChatHistory:
    history = ChatHistory()
    for answer in answers:
        history.add(answer)
    return history


def _conversation(site: Site, request: Request) -> tuple[str, dict[str, Any]]:
    """Return the id and the options of the conversation of a request."""
    conversation = request.path_params["conversation"]
    options = site.conversations.options(conversation)
    if options is None:
        raise not_found(_DELETED)
    return conversation, options


def _turn(site: Site, request: Request) -> tuple[Turn, list[Answer]]:
    """Return the turn of a request, and the answers before it."""
    conversation, _ = _conversation(site, request)
    turns = site.conversations.turns(conversation)
    for turn in turns:
        if str(turn.number) == request.path_params["number"]:
            return turn, [t.answer for t in turns if t.answer is not None and t.number < turn.number]
    raise not_found()


# --- reading ---


def show(site: Site, request: Request) -> Response:
    """Show a conversation; running turns are streamed as they are written."""
    conversation, options = _conversation(site, request)
    runner = site.turns  # first, because it ends the turns of a server that was killed
    turns = site.conversations.turns(conversation)
    paper = _paper(site, options)
    html = http.render(
        site,
        request,
        "conversation.html.j2",
        title=turns[0].question if turns else "Conversation",
        conversation=conversation,
        turns=turns,
        paper=paper,
        max_length=MAX_QUESTION,
        keep_days=site.settings.web_keep_days,
    )
    head, _, foot = html.partition(_TURNS)
    headers = {"X-Accel-Buffering": "no"}  # nginx passes each piece on at once
    if request.method == "HEAD":
        return Response(media_type="text/html", headers=headers)
    may_rate = access.visitor(site, request).is_local
    body = _stream(site, runner, options, turns, (head, foot), may_rate=may_rate)
    return StreamingResponse(body, media_type="text/html", headers=headers)


def _paper(site: Site, options: dict[str, Any]) -> Paper | None:
    """Return the paper that a conversation is about, unless it was removed."""
    return paper_finder(site.agent)(options["paper"]) if "paper" in options else None


async def _stream(
    site: Site,
    runner: TurnRunner,
    options: dict[str, Any],
    turns: list[Turn],
    frame: tuple[str, str],
    *,
    may_rate: bool,
) -> AsyncIterator[str]:
    """Yield a page: its beginning, the turns, and its end."""
    yield frame[0]
    earlier: list[Answer] = []
    for stored in turns:
        running = runner.get(stored) if stored.state == "running" else None
        if running is None:
            turn = stored
            if stored.state == "running":  # it ended since it was read
                current = await run_in_threadpool(site.conversations.turns, stored.conversation)
                turn = next((t for t in current if t.number == stored.number), stored)
            yield _turn_start(turn, running=False)
            yield await run_in_threadpool(_finished, site, turn, list(earlier))
        else:
            yield _turn_start(stored, running=True)
            async for piece in running.follow():
                yield piece
            turn = running.turn
        yield _turn_end(turn, options, may_rate=may_rate)
        if turn.answer is not None:
            earlier.append(turn.answer)
    yield frame[1]


def _finished(site: Site, turn: Turn, earlier: list[Answer]) -> str:
    pieces: list[str] = []
    show_finished(HtmlScreen(turn.number, paper_finder(site.agent), pieces.append), turn, earlier)
    return "".join(pieces)


def _turn_start(turn: Turn, *, running: bool) -> str:
    template = http.environment().get_template("turn_start.html.j2")
    return template.render(turn=turn, is_long=len(turn.question) > _LONG_QUESTION, running=running)


def _origin(answer: Answer | None) -> str:
    """Return how an answer was made, as the page says it."""
    if answer is None or answer.status == "abstained":
        return ""
    if answer.kind != "papers":
        return _MODES[answer.kind]
    is_selected = answer.mode == "extractive" and answer.model and not answer.fallback
    return _MODES["select" if is_selected else answer.mode]


def _turn_end(turn: Turn, options: dict[str, Any], *, may_rate: bool) -> str:
    answer = turn.answer
    limits: dict[str, str] = {n: options[n] for n in ("paper", "since", "until") if n in options}
    return (
        http.environment()
        .get_template("turn_end.html.j2")
        .render(
            turn=turn,
            error=turn.error,
            abstained=answer is not None and answer.status == "abstained",
            about_paper="paper" in options,
            limited="since" in options or "until" in options,
            limits=f"&{urlencode(limits)}" if limits else "",
            made=_origin(answer),
            size="" if answer is None else _size(answer),
            may_rate=may_rate and answer is not None,
        )
    )


def _size(answer: Answer) -> str:
    """Return the size of an answer, such as ``4 sentences from 2 papers``."""
    if not answer.claims:
        return ""
    papers = len({c.paper_id for c in answer.citations})
    return f"{counted(len(answer.claims), 'sentence')} from {counted(papers, 'paper')}"


# --- acting on a conversation ---


def stop(site: Site, request: Request) -> Response:
    """Stop the running turns; what was written so far stays."""
    conversation, _ = _conversation(site, request)
    site.turns.stop(conversation)
    return see_other(f"/c/{conversation}")


def delete(site: Site, request: Request) -> Response:
    """Delete a conversation and confirm it on a page."""
    conversation, _ = _conversation(site, request)
    site.turns.stop(conversation)
    site.conversations.delete(conversation)
    return page(site, request, "deleted.html.j2")


def rate(site: Site, request: Request) -> Response:
    """Keep a rating of an answer as feedback, from which ``paperagent eval cases add`` makes test cases."""
    from paperagent.evals import feedback

    if not access.visitor(site, request).is_local:
        raise HTTPException(403, "Only the operator of this library can rate its answers.")
    turn, earlier = _turn(site, request)
    rating, note = (str(request.state.form.get(name, "")) for name in ("rating", "note"))
    if rating not in ("good", "bad") or turn.answer is None or turn.state != "done":
        raise InputError("rating: must be good or bad, and the answer must be complete")
    history = _history([*earlier, turn.answer]).before_last()
    file = site.agent.home / feedback.FEEDBACK_FILE
    feedback.save_feedback(file, turn.answer, history, good=rating == "good", note=note[:MAX_NOTE])
    site.conversations.rate(turn, rating)
    return see_other(f"/c/{turn.conversation}#t{turn.number}")


# --- downloads ---


def _answers(site: Site, request: Request) -> tuple[str, list[Answer]]:
    conversation, _ = _conversation(site, request)
    return conversation, [t.answer for t in site.conversations.turns(conversation) if t.answer is not None]


def _download(text: str, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.encode(errors="backslashreplace"), media_type=media_type, headers=headers)


def markdown_file(site: Site, request: Request) -> Response:
    """Return a conversation as the chat's ``/save`` writes it."""
    _, answers = _answers(site, request)
    return _download("".join(transcript(answers)), "text/markdown", "conversation.md")


def json_file(site: Site, request: Request) -> Response:
    """Return the answers of a conversation as ``ask --json`` prints them."""
    _, answers = _answers(site, request)
    text = json.dumps([answer.to_dict() for answer in answers])
    return _download(text, "application/json", "conversation.json")


def bibtex_file(site: Site, request: Request) -> Response:
    """Return the papers that a conversation cites as BibTeX."""
    _, answers = _answers(site, request)
    find = paper_finder(site.agent)
    ids = dict.fromkeys(citation.paper_id for answer in answers for citation in answer.citations)
    papers = (paper for paper in map(find, ids) if paper is not None)
    return _download("".join(bibtex(papers)), "application/x-bibtex", "conversation.bib")


ROUTES = (
    Route("/ask", ask_form),
    Route("/ask", ask, ("POST",), limit="ask"),
    Route("/c/{conversation}.md", markdown_file, cache=PRIVATE),
    Route("/c/{conversation}.json", json_file, cache=PRIVATE),
    Route("/c/{conversation}.bib", bibtex_file, cache=PRIVATE),
    Route("/c/{conversation}", show, cache=PRIVATE),
    Route("/c/{conversation}", follow_up, ("POST",), limit="ask"),
    Route("/c/{conversation}/stop", stop, ("POST",)),
    Route("/c/{conversation}/delete", delete, ("POST",)),
    Route("/c/{conversation}/t/{number}/rate", rate, ("POST",)),
)
