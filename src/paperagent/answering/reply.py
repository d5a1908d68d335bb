"""Parse a model's reply: claim by claim while it arrives, and as a whole at its end.

The request has a strict schema, but many servers ignore it, and models write something similar. So keys may
be missing, renamed, or in another order, the object may be wrapped or repeated, and there may be one claim
per line. An unusable claim does not affect the others. Text that contains no reply is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paperagent.answering.passages import MAX_POINTERS, cut_pointers, pointers
from paperagent.errors import EndpointError
from paperagent.text.lenient_json import JsonPath, LenientJsonParser, parse_all
from paperagent.text.sanitize import strip_controls

MAX_CLAIMS = 40
MAX_QUERIES = 3
SCHEMA_MAX_POINTERS = 3
"""Number of pointers per claim that the schema allows."""
MAX_ENUM_VALUES = 250
"""Maximum number of pointers that a schema lists; beyond that, OpenAI limits their total length."""
MAX_REPLY_CHARS = 60_000
"""A longer reply means that the model or the server is faulty."""
_LOOP_LENGTH, _LOOP_TIMES = 48, 6
"""Characters at the end of a reply, and how often they must repeat in a row to count as a loop."""

Decision = Literal["answer", "abstain", "search"]


class WrittenClaim(BaseModel):
    """A claim as the model wrote it."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=2_000)
    evidence: list[str] = Field(default_factory=list, max_length=20)
    """Pointers such as ``1.3``."""


class TruncatedReplyError(Exception):
    """The reply ended before it was complete."""

    kind = "truncated"


class LoopingReplyError(TruncatedReplyError):
    """The reply repeated itself."""


class ModelReply(BaseModel):
    """A whole reply."""

    model_config = ConfigDict(extra="ignore")

    verdict: Decision
    claims: list[WrittenClaim] = Field(default_factory=list, max_length=MAX_CLAIMS)
    missing: str = Field("", max_length=2_000)
    """The model's text on what the abstracts do not say."""
    queries: list[str] = Field(default_factory=list)


# --- schemas ---


def object_schema(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object whose keys are all required, with no others allowed.

    All servers that check schemas support this form.
    """
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def claim_schema(
    *, pointers: Sequence[str] = (), max_pointers: int | None = None, **properties: Any
) -> dict[str, Any]:
    """Return the schema of a claim: ``text`` and the ``evidence`` that it points at.

    Args:
        pointers: The only allowed pointers, if they are not too many to list.
        max_pointers: Pointers that one claim may have.
        **properties: Further properties, placed before the text.
    """
    pointer: dict[str, Any] = {"type": "string"}
    if 0 < len(pointers) <= MAX_ENUM_VALUES:
        pointer["enum"] = list(pointers)
    evidence: dict[str, Any] = {"type": "array", "items": pointer}
    if max_pointers is not None:
        evidence["maxItems"] = max_pointers
    return object_schema(**properties, text={"type": "string"}, evidence=evidence)


def answer_schema(
    pointers: Sequence[str] = (),
    *,
    may_search: bool = True,
    max_claims: int | None = None,
    reports_missing: bool = True,
) -> dict[str, Any]:
    """Return the schema of a reply.

    Args:
        pointers: The pointers to the sentences that are shown.
        may_search: Whether the reply may be a request for a further search.
        max_claims: Claims that the reply may have.
        reports_missing: Whether the reply names what the abstracts do not say.
    """
    text = {"type": "string"}
    claims = {"type": "array", "items": claim_schema(pointers=pointers, max_pointers=SCHEMA_MAX_POINTERS)}
    return object_schema(
        verdict={"type": "string", "enum": ["answer", "abstain", *(["search"] if may_search else [])]},
        claims={**claims, **({"maxItems": max_claims} if max_claims else {})},
        **({"missing": text} if reports_missing else {}),
        **({"queries": {"type": "array", "items": text}} if may_search else {}),
    )


# --- parsing ---


class ReplyParser:
    """Parses a reply piece by piece and returns claims as they become complete."""

    def __init__(self) -> None:
        self._json = LenientJsonParser(self._add_value)
        self._verdict: Decision | None = None
        self._claims: list[WrittenClaim] = []
        self._returned = 0
        """Number of claims that were returned already."""
        self._missing = ""
        self._queries: list[str] = []
        self._is_reply = False
        """Whether anything that was asked for is there."""
        self._unusable = 0
        """Number of claims that could not be used."""

    @property
    def text(self) -> str:
        """The reply so far."""
        return self._json.text

    def feed(self, piece: str) -> list[WrittenClaim]:
        """Parse a piece. Return the claims that it completes, once the verdict is known to be "answer"."""
        self._json.feed(piece)
        return self._new_claims() if self._verdict == "answer" else []

    def require_no_loop(self) -> None:
        """Raise if the reply repeats its last words over and over, or does not end.

        Raises:
            LoopingReplyError: it does.
        """
        text = self.text
        tail = text[-_LOOP_LENGTH:]
        repeats = len(text) > _LOOP_LENGTH * _LOOP_TIMES and text.endswith(tail * _LOOP_TIMES)
        if repeats or len(text) > MAX_REPLY_CHARS:
            raise LoopingReplyError("the model repeated itself and was stopped")

    def finish(self) -> tuple[ModelReply, list[WrittenClaim]]:
        """Return the whole reply, and the claims that were not returned before.

        Raises:
            EndpointError: (kind ``malformed``) the text contains no reply.
        """
        self._json.close()
        if self._unusable and not self._claims and self._verdict in (None, "answer"):
            raise _malformed()
        if not self._is_reply:
            raise _malformed()
        inferred: Decision = "answer" if self._claims else "search" if self._queries else "abstain"
        reply = ModelReply(
            verdict=self._verdict or inferred,
            claims=list(self._claims),
            missing=self._missing,
            queries=self._queries,
        )
        return reply, self._new_claims()

    def _new_claims(self) -> list[WrittenClaim]:
        claims = self._claims[self._returned :]
        self._returned = len(self._claims)
        return claims

    def _add_value(self, path: JsonPath, value: Any) -> None:
        """Process a complete JSON value, wherever it occurs in the text."""
        name, inside = _member_of(path)
        if inside:
            return
        if name in _CLAIMS or _is_claim(value):
            self._add_claims(path, value)
        elif name == "verdict" and isinstance(value, str):
            self._verdict = self._verdict or _decision(value)
            self._is_reply = self._is_reply or self._verdict is not None
        elif path and path[-1] == "missing" and (value is None or isinstance(value, (str, list))):
            self._missing = self._missing or _joined_text(value)[:2_000]
            self._is_reply = True
        elif path and path[-1] == "queries" and isinstance(value, (str, list)):
            texts = map(_joined_text, value if isinstance(value, list) else [value])
            self._queries = [*self._queries, *(text[:300] for text in texts if text)][:MAX_QUERIES]
            self._is_reply = True

    def _add_claims(self, path: JsonPath, value: Any) -> None:
        """Process a claim, or a list or object that contains claims."""
        if isinstance(value, list):
            self._is_reply = True
            return  # its claims were added before
        if isinstance(value, dict) and path and path[-1] in _CLAIMS and not _is_claim(value):
            for claim in filter(_is_claim, value.values()):  # by number or name
                self._add_claim(claim)
            return
        self._add_claim(value)

    def _add_claim(self, value: Any) -> None:
        claim = parse_claim(value)
        if claim is None:
            self._unusable += 1
        elif claim not in self._claims and len(self._claims) < MAX_CLAIMS:
            self._claims.append(claim)
            self._is_reply = True


def parse_reply(text: str) -> ModelReply:
    """Return the reply in ``text``.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    parser = ReplyParser()
    parser.feed(text)
    return parser.finish()[0]


def parse_object(text: str, key: str) -> dict[str, Any]:
    """Return the JSON object in ``text`` that has ``key``.

    If the model wrote only the claims without the key, they are put under it.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    match = find_object(parse_all(text), key)
    if match is None:
        raise _malformed()
    return match


def find_object(values: list[Any], key: str) -> dict[str, Any] | None:
    """Return the first JSON object with ``key``, or wrap claims that stand alone in such an object."""
    objects = list(_objects(values))
    match = next((obj for obj in objects if key in obj), None)
    if match is None:
        claims = [obj for obj in objects if _is_claim(obj)]
        match = {key: claims} if claims else None
    return match


def parse_claim(value: object) -> WrittenClaim | None:
    """Return an object, or a text with pointers in brackets, as a claim; None if it is not a claim."""
    members = {"text": value} if isinstance(value, str) else value
    if not isinstance(members, Mapping):
        return None
    name = next((k for k in _TEXT if isinstance(members.get(k), str)), None)
    if name is None:
        return None
    others = (pointers(members[k]) for k in (*_EVIDENCE, "sentence") if k in members and k != name)
    evidence = next(filter(None, others), [])
    text, inline = cut_pointers(members[name].strip(), evidence)
    try:
        return WrittenClaim(text=text, evidence=(evidence or inline)[:MAX_POINTERS])
    except ValidationError:
        return None


# --- text of a model, made plain ---

_MARKUP = re.compile(
    r"!?\[([^\[\]]*)\]\([^()]*\)|</?[a-z!?][^<>]{0,200}>|[\[(]\d+\.\d+[\])]|\[\d+(?:\s*[,–-]\s*\d+)*\]"
    r"|\b(?:[a-z][a-z0-9+.-]{0,30}://|www\.|(?:mailto|javascript|vbscript):(?=\S)|data:[a-z]+/)\S+",
    re.IGNORECASE,
)


def plain_text(text: str) -> str:
    """Return a model's text without control characters, markup, links, images and citation markers."""
    text = strip_controls(text)
    while True:  # removing markup may create new markup
        stripped = _MARKUP.sub(lambda m: m.group(1) or "", text)
        if stripped == text:
            return " ".join(text.split())
        text = stripped


# --- forms of a reply ---

_CLAIMS = ("claims", "claim_list", "statements")
_TEXT = ("text", "claim", "statement", "sentence", "content", "answer")
_EVIDENCE = (
    *("evidence", "citations", "citation", "sources", "source", "pointers", "pointer", "references"),
    *("reference", "refs", "ref", "sentences", "sentence_ids", "evidence_ids", "ids", "cites", "support"),
)
_DECISION = re.compile(r"\W*(answer|abstain|search)[a-z]*\W*")


def _member_of(path: JsonPath) -> tuple[str, bool]:
    """Return the name of the member that a value belongs to, and whether the value is part of a claim."""
    names = [key for key in path if isinstance(key, str)]
    for i, key in enumerate(path):
        if key in _EVIDENCE and key != "sentences":
            return "", True
        if key in _CLAIMS:
            within = path[i + 1 :]
            return str(key), len(within) > 1 or any(isinstance(k, str) for k in within)
    return (names[-1] if names else ""), False


def _is_claim(value: Any) -> bool:
    """Return whether a value is an object with the members of a claim, and not the reply itself."""
    if not isinstance(value, dict):
        return False
    has_text = any(isinstance(value.get(k), str) for k in _TEXT)
    return has_text and any(k in value for k in _EVIDENCE) and not any(k in value for k in _CLAIMS)


def _decision(text: str) -> Decision | None:
    word = _DECISION.fullmatch(text.lower())
    decisions: dict[str, Decision] = {"answer": "answer", "abstain": "abstain", "search": "search"}
    return decisions[word[1]] if word else None


def _joined_text(value: Any) -> str:
    """Return the text in a value: null, text, or a list or object that contains text."""
    if isinstance(value, dict):
        value = next((v for v in value.values() if isinstance(v, str)), None)
    if isinstance(value, list):
        return "; ".join(filter(None, map(_joined_text, value)))
    return value.strip() if isinstance(value, str) else ""


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects among ``values`` and inside them, outer ones first."""
    queue = list(values)
    while queue:
        value = queue.pop(0)
        if isinstance(value, dict):
            yield value
            queue += value.values()
        elif isinstance(value, list):
            queue += value


def _malformed() -> EndpointError:
    return EndpointError(
        "model reply: is not the JSON object asked for; try again or another model", kind="malformed"
    )
