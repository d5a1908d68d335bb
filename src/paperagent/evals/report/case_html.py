"""One case of the page: the answer beside the sentences it cites, and what is wrong with it. Pure.

Everything here comes from strangers: papers, models, whoever wrote the cases. `said` is the only
way from a text into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from paperagent.answering.citations import without_quotes
from paperagent.evals.cases import Case
from paperagent.evals.report.tables import FAILURE_ABOUT, number
from paperagent.evals.results import Row
from paperagent.evals.scorers import METRICS
from paperagent.evals.scorers.content import claim_pointers, contains, normalized, reply_claims
from paperagent.layout import CONFIRMED, DOUBT, REPLACED, is_doubted, judge_probability
from paperagent.text.sanitize import safe_terminal, safe_url
from paperagent.verification import check

_WORD = re.compile(r"\w+(?:[.,]\d+)*%?")
_SUPPORT = {"quoted": "good", "supported": "good", "unverified": "warn"}
_MOST_FOUND = 5
"""Papers that are listed of those retrieved; gold ones further down too."""


def said(text: Any, *, newlines: bool = False) -> str:
    """Return a stranger's text as HTML that shows exactly these characters."""
    return escape(safe_terminal(str(text), newlines=newlines))


def state(row: Row) -> str:
    """Return the class of a case: right, wrong or error."""
    return "error" if row.state == "error" else "wrong" if row.failure else "right"


def case(row: Row, wanted: Case | None = None) -> str:
    """Return a case that can be opened; with ``wanted``, also what was expected."""
    how = state(row)
    label = "✓ right" if how == "right" else f"✗ {(row.failure or how).replace('_', ' ')}"
    return (
        f'<details class="case {how}"><summary><span class="pill">{label}</span>'
        f'<span class="id">{said(row.id)}</span><span class="question">{said(row.question)}</span>'
        f'<span class="kind">{said(row.kind)}</span></summary>'
        f'<div class="body">{"".join(_body(row, wanted))}</div></details>'
    )


def _body(row: Row, wanted: Case | None) -> Iterator[str]:
    if row.failure:
        detail = f": <code>{said(row.error)}</code>" if row.error else ""
        yield f'<p class="soft">{FAILURE_ABOUT[row.failure].capitalize()}{detail}.</p>'
    if row.answer is not None:
        yield _answer(row.answer, row.confidence)
    if kept_back := "".join(_withheld(row)):
        yield f"<div><h3>Written by the model, but not shown</h3>{_HEAD}{kept_back}</div>"
    parts = [_wanted(wanted, row) if wanted else "", _found(row, wanted), _scores(row)]
    yield f'<div class="two-up">{"".join(parts)}</div>'
    if row.raw:
        calls = "\n\n".join(f"[{call.schema_name}]\n{call.text}" for call in row.raw)
        yield (
            '<details><summary class="soft small">What the model wrote</summary>'
            f"<pre>{said(calls, newlines=True)}</pre></details>"
        )


def _answer(answer: Mapping[str, Any], confidence: float | None) -> str:
    facts = [str(answer["status"])]
    facts += [str(answer["reason"]).replace("_", " ")] if answer["reason"] else []
    facts += [f"confidence {number(confidence, 2)}"] if confidence is not None else []
    head = f"<h3>Answer <span class='soft small'>{said(', '.join(facts))}</span></h3>"
    notes = "".join(f'<p class="soft small">{said(note)}</p>' for note in answer.get("notes", ()))
    by_n = {c["n"]: c for c in answer["citations"]}
    if answer["claims"]:
        return f"<div>{head}{_HEAD}{''.join(_claim(c, by_n) for c in answer['claims'])}{notes}</div>"
    first = str(answer["answer"]).partition("\n\n")[0]
    quotes = "".join(map(_quote, answer["citations"]))
    return f"<div>{head}<p>{said(first) or '<em>Nothing.</em>'}</p>{quotes}{notes}</div>"


_HEAD = '<div class="pair head"><div>Claim</div><div>Cited sentence</div></div>'


def _withheld(row: Row) -> Iterator[str]:
    """Lay out the claims of the model's replies that the answer does not have, with the checks they fail."""
    shown = {normalized(str(c["text"])) for c in (row.answer or {}).get("claims", ())}
    for call in row.raw or ():
        for claim in reply_claims(call):
            text = str(claim.get("text", ""))
            if normalized(text) not in shown:
                yield _kept_back(text, claim_pointers(claim), call.shown)


def _kept_back(text: str, at: Sequence[str], sentences: Mapping[str, str]) -> str:
    quotes = [sentences[p] for p in at if p in sentences]
    verdict = check(text, quotes)
    failed = [name for name, passed in verdict.checks.items() if passed is False] if quotes else []
    failed += [f"points at {p}, which was not shown" for p in at if p not in sentences]
    chips = "".join(f'<span class="chip bad">✗ {said(name)}</span>' for name in failed)
    reasons = said("; ".join(verdict.reasons)) if quotes else ""
    claim = f'{_marked(text, " ".join(quotes))}<div class="checks">{chips}</div>'
    quoted = "".join(f"<blockquote>{said(q)}</blockquote>" for q in quotes) or _NO_SENTENCE
    return (
        f'<div class="pair failed"><div>{claim}<div class="soft small">{reasons}</div></div>'
        f"<div>{quoted}</div></div>"
    )


_NO_SENTENCE = '<span class="soft">No sentence.</span>'


def _claim(claim: Mapping[str, Any], by_n: Mapping[int, Mapping[str, Any]]) -> str:
    cited = [by_n[n] for n in claim["citations"] if n in by_n]
    lost = [n for n in claim["citations"] if n not in by_n]
    failed = [name for name, passed in claim["checks"].items() if passed is False]
    failed += [f"points at {p}" for p in claim["checks"].get("dangling", ())]
    failed += [f"[{n}] is nothing" for n in lost]
    failed += ["the second reader says no"] if is_doubted(claim["checks"]) else []
    support = str(claim["support"])
    chips = f'<span class="chip {_SUPPORT.get(support, "bad")}">{said(_support(claim))}</span>'
    chips += "".join(f'<span class="chip bad">✗ {said(name)}</span>' for name in failed)
    quotes = "".join(map(_quote, cited)) or _NO_SENTENCE
    bad = " failed" if failed or _SUPPORT.get(support, "bad") == "bad" else ""
    text = _marked(str(claim["text"]), " ".join(str(c["quote"]) for c in cited))
    return (
        f'<div class="pair{bad}"><div>{text}<div class="checks">{chips}</div></div><div>{quotes}</div></div>'
    )


def _support(claim: Mapping[str, Any]) -> str:
    """Return how far the sentences carry a claim, and what the second reader says of it."""
    support, opinion = str(claim["support"]), judge_probability(claim["checks"])
    if support == "quoted" and claim["checks"].get("replaced"):
        return f"{support}: {REPLACED}"
    words = CONFIRMED if support == "supported" and opinion is not None else support
    words += f": {DOUBT[support]}" if support in DOUBT else ""
    return words if opinion is None else f"{words} (probability {opinion:.2f})"


def _marked(claim: str, quotes: str) -> str:
    """Return a claim with the words marked that its quotes do not have."""
    known = {w.casefold() for w in _WORD.findall(quotes)}
    if not known:
        return said(claim)
    out, end = [], 0
    for word in _WORD.finditer(claim):
        if word[0].casefold() not in known:
            out += [said(claim[end : word.start()]), f"<mark>{said(word[0])}</mark>"]
            end = word.end()
    return "".join([*out, said(claim[end:])])


def _quote(citation: Mapping[str, Any]) -> str:
    url = safe_url(citation["url"])
    title = said(citation["title"])
    link = f'<a href="{escape(url)}" rel="noreferrer noopener">{title}</a>' if url else title
    return (
        f"<blockquote>{said(citation['quote'])}"
        f"<cite>[{said(citation['n'])}] {link} · {_id(str(citation['paper_id']))}, characters "
        f"{said(citation['start'])}–{said(citation['end'])}</cite></blockquote>"
    )


def _id(paper_id: str) -> str:
    shown = f"{paper_id[:14]}…" if paper_id.startswith("sha256:") else paper_id
    return f'<span title="{said(paper_id)}">{said(shown)}</span>'


def _wanted(wanted: Case, row: Row) -> str:
    items = [] if wanted.answerable else ["an abstention: the library does not say"]
    answer = normalized(without_quotes(str((row.answer or {}).get("answer") or "")))
    items = [said(i) for i in items]
    items += [f"paper: {said(t)}" for t in (*wanted.gold_ids, *wanted.gold_titles)]
    items += [f"evidence: “{said(e)}”" for e in wanted.evidence]
    items += [_text(t, "says", right=contains(answer, t)) for t in wanted.must_include]
    items += [_text(t, "does not say", right=not contains(answer, t)) for t in wanted.must_not]
    return f'<div><h3>Wanted</h3><ul class="wanted">{"".join(f"<li>{i}</li>" for i in items)}</ul></div>'


def _text(text: str, verb: str, *, right: bool) -> str:
    chip = '<span class="chip good">✓</span>' if right else '<span class="chip bad">✗</span>'
    return f"{chip}{verb}: {said(' or '.join(text.split('|')))}"


def _found(row: Row, wanted: Case | None) -> str:
    gold = set(map(normalized, (*wanted.gold_titles, *wanted.gold_ids))) if wanted else set()
    marked = [(r, bool(gold & {normalized(r.title), normalized(r.paper_id)})) for r in row.retrieved]
    items = [
        f'<li value="{r.rank}">{said(r.title)}{_GOLD if good else ""}'
        f'<span class="score">{r.score:.2f}</span></li>'
        for r, good in marked
        if good or r.rank <= _MOST_FOUND
    ]
    more = len(row.retrieved) - len(items)
    rest = f'<p class="soft small">and {more} more</p>' if more else ""
    listed = f'<ol class="found">{"".join(items)}</ol>{rest}' if items else '<p class="soft">Nothing.</p>'
    return f"<div><h3>Retrieved</h3>{listed}</div>"


_GOLD = ' <span class="chip good">gold</span>'


def _scores(row: Row) -> str:
    items = []
    for name, score in row.scores.items():
        metric = METRICS.get(name)
        if score is None or metric is None:
            continue
        below = metric.group != "effort" and (
            score < 1 if metric.better == "higher" else metric.share and score
        )
        items.append(
            f"<div{' class=low' if below else ''}><span>{said(name)}</span><span>{number(score)}</span></div>"
        )
    return f'<div><h3>Scores</h3><div class="scores">{"".join(items)}</div></div>' if items else ""
