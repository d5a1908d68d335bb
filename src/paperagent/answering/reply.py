"""Read the model's reply: claim by claim while it arrives, and whole once it is there.

The request has a strict schema, but many servers ignore it and models write what resembles it. So
keys may be missing, renamed, or in another order; the object may be wrapped, repeated, or one claim
a line; and one unusable claim costs that claim only. What holds no reply at all is a typed failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.answering.passages import MAX_POINTERS, cut_pointers, pointers
from paperagent.errors import EndpointError
from paperagent.text.lenient_json import JsonPath, LenientJsonParser, parse_all

MAX_CLAIMS = 40
MAX_QUERIES = 3
Decision = Literal["answer", "abstain", "search"]


class WrittenClaim(BaseModel):
    """One claim as the model writes it."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=2_000)
    evidence: list[str] = Field(default_factory=list, max_length=20)
    """Pointers such as ``1.3``."""


class Reply(BaseModel):
    """The whole reply."""

    model_config = ConfigDict(extra="ignore")

    verdict: Decision
    claims: list[WrittenClaim] = Field(default_factory=list, max_length=MAX_CLAIMS)
    missing: str = Field("", max_length=2_000)
    queries: list[str] = Field(default_factory=list)


MOST_POINTERS = 3
"""Sentences that one claim may point at, by the schema."""
MOST_ENUM_VALUES = 250
"""Pointers that a schema lists: beyond it OpenAI limits the length of all together."""


def answer_schema(
    pointers: Sequence[str] = (),
    *,
    may_search: bool = True,
    most_claims: int | None = None,
    says_missing: bool = True,
) -> dict[str, Any]:
    """Return the schema of a reply that may point at ``pointers`` only, where they are not too many.

    Every key is required and none added: the common denominator of servers that check schemas.
    """
    pointer: dict[str, Any] = {"type": "string"}
    if 0 < len(pointers) <= MOST_ENUM_VALUES:
        pointer["enum"] = list(pointers)
    text = {"type": "string"}
    properties = {
        "verdict": {"type": "string", "enum": ["answer", "abstain", *(["search"] if may_search else [])]},
        "claims": {
            "type": "array",
            "items": _object(
                text=text, evidence={"type": "array", "items": pointer, "maxItems": MOST_POINTERS}
            ),
            **({"maxItems": most_claims} if most_claims else {}),
        },
        **({"missing": text} if says_missing else {}),
        **({"queries": {"type": "array", "items": text}} if may_search else {}),
    }
    return _object(**properties)


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


class Reader:
    """Collects the pieces of a reply and tells which claims are complete."""

    def __init__(self) -> None:
        self._json = LenientJsonParser(self._take)
        self._verdict: Decision | None = None
        self._claims: list[WrittenClaim] = []
        self._shown = 0
        self._missing = ""
        self._queries: list[str] = []
        self._is_reply = False
        """Whether anything that was asked for is there."""
        self._unusable = 0
        """Claims that were none."""

    @property
    def text(self) -> str:
        """The reply so far."""
        return self._json.text

    def feed(self, piece: str) -> list[WrittenClaim]:
        """Take a piece; return the claims that it completes once the verdict is known to be "answer"."""
        self._json.feed(piece)
        return self._fresh() if self._verdict == "answer" else []

    def finish(self) -> tuple[Reply, list[WrittenClaim]]:
        """Return the whole reply and the claims not given before.

        Raises:
            EndpointError: (kind ``malformed``) there is no such object in the text.
        """
        self._json.close()
        if self._unusable and not self._claims and self._verdict in (None, "answer"):
            raise _malformed()
        if not self._is_reply:
            raise _malformed()
        inferred: Decision = "answer" if self._claims else "search" if self._queries else "abstain"
        reply = Reply(
            verdict=self._verdict or inferred,
            claims=list(self._claims),
            missing=self._missing,
            queries=self._queries,
        )
        return reply, self._fresh()

    def _fresh(self) -> list[WrittenClaim]:
        fresh = self._claims[self._shown :]
        self._shown = len(self._claims)
        return fresh

    def _take(self, path: JsonPath, value: Any) -> None:
        """Note a value that is complete, wherever in the text it stands."""
        name, inside = _place(path)
        if inside:
            return
        if name in _CLAIMS or _is_claim(value):
            self._take_claims(path, value)
        elif name == "verdict" and isinstance(value, str):
            self._verdict = self._verdict or _decision(value)
            self._is_reply = self._is_reply or self._verdict is not None
        elif path and path[-1] == "missing" and (value is None or isinstance(value, (str, list))):
            self._missing = self._missing or _joined(value)[:2_000]
            self._is_reply = True
        elif path and path[-1] == "queries" and isinstance(value, (str, list)):
            texts = map(_joined, value if isinstance(value, list) else [value])
            self._queries = [*self._queries, *(text[:300] for text in texts if text)][:MAX_QUERIES]
            self._is_reply = True

    def _take_claims(self, path: JsonPath, value: Any) -> None:
        """Note a claim, or the list that held claims."""
        if isinstance(value, list):
            self._is_reply = True
            return  # the claims in it were noted before
        if isinstance(value, dict) and path and path[-1] in _CLAIMS and not _is_claim(value):
            for claim in filter(_is_claim, value.values()):  # by number or name
                self._take_claim(claim)
            return
        self._take_claim(value)

    def _take_claim(self, value: Any) -> None:
        claim = written_claim(value)
        if claim is None:
            self._unusable += 1
        elif claim not in self._claims and len(self._claims) < MAX_CLAIMS:
            self._claims.append(claim)
            self._is_reply = True


def parse(text: str) -> Reply:
    """Return the reply in ``text``.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    reader = Reader()
    reader.feed(text)
    return reader.finish()[0]


def read_object(text: str, key: str) -> dict[str, Any]:
    """Return the JSON object in ``text`` that has ``key``, or the claims that should stand under it.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    values = parse_all(text)
    objects = list(_objects(values))
    match = next((obj for obj in objects if key in obj), None)
    if match is None:  # only what should stand under the key was written
        claims = [obj for obj in objects if _is_claim(obj)]
        match = {key: claims} if claims else None
    if match is None:
        raise _malformed()
    return match


def written_claim(value: object) -> WrittenClaim | None:
    """Return an object, or a text with pointers in brackets, as a claim; None where it is none."""
    members = {"text": value} if isinstance(value, str) else value
    if not isinstance(members, Mapping):
        return None
    name = next((k for k in _TEXT if isinstance(members.get(k), str)), None)
    if name is None:
        return None
    others = (pointers(members[k]) for k in (*_EVIDENCE, "sentence") if k in members and k != name)
    evidence = next(filter(None, others), [])
    text, taken = cut_pointers(members[name].strip(), evidence)
    try:
        return WrittenClaim(text=text, evidence=(evidence or taken)[:MAX_POINTERS])
    except ValidationError:
        return None


# --- the forms of a reply ---

_CLAIMS = ("claims", "claim_list", "statements")
_TEXT = ("text", "claim", "statement", "sentence", "content", "answer")
_EVIDENCE = (
    *("evidence", "citations", "citation", "sources", "source", "pointers", "pointer", "references"),
    *("reference", "refs", "ref", "sentences", "sentence_ids", "evidence_ids", "ids", "cites", "support"),
)
_DECISION = re.compile(r"\W*(answer|abstain|search)[a-z]*\W*")


def _place(path: JsonPath) -> tuple[str, bool]:
    """Return the name of the member that a value belongs to, and whether it lies inside a claim."""
    names = [key for key in path if isinstance(key, str)]
    for i, key in enumerate(path):
        if key in _EVIDENCE and key != "sentences":
            return "", True
        if key in _CLAIMS:
            within = path[i + 1 :]
            return str(key), len(within) > 1 or any(isinstance(k, str) for k in within)
    return (names[-1] if names else ""), False


def _is_claim(value: Any) -> bool:
    """Tell whether a value is an object with the members of a claim, and is not the reply itself."""
    if not isinstance(value, dict):
        return False
    has_text = any(isinstance(value.get(k), str) for k in _TEXT)
    return has_text and any(k in value for k in _EVIDENCE) and not any(k in value for k in _CLAIMS)


def _decision(written: str) -> Decision | None:
    word = _DECISION.fullmatch(written.lower())
    decisions: dict[str, Decision] = {"answer": "answer", "abstain": "abstain", "search": "search"}
    return decisions[word[1]] if word else None


def _joined(written: Any) -> str:
    """Return the text of what should be one: nothing, a text, texts, or objects that hold one."""
    if isinstance(written, dict):
        written = next((v for v in written.values() if isinstance(v, str)), None)
    if isinstance(written, list):
        return "; ".join(filter(None, map(_joined, written)))
    return written.strip() if isinstance(written, str) else ""


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects among ``values`` and inside them, outer ones first."""
    waiting = list(values)
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _malformed() -> EndpointError:
    return EndpointError(
        "model reply: is not the JSON object asked for; try again or another model", kind="malformed"
    )
