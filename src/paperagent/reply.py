"""Read the model's JSON: claim by claim while it arrives, strictly once it is there.

Servers that ignore the schema wrap the object in prose, a code fence or ``<think>`` text; the
object is looked for behind these. What is no such object is a typed failure, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from paperagent.errors import EndpointError

MAX_CLAIMS = 40
MAX_QUERIES = 3
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)


def _as_texts(value: Any) -> Any:
    """Take one pointer for a list of one, and a number (``1.3``) for a text."""
    items = value if isinstance(value, list) else [value]
    return [str(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else v for v in items]


class WrittenClaim(BaseModel):
    """One claim as the model writes it."""

    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=2_000)
    evidence: Annotated[list[str], BeforeValidator(_as_texts)] = Field(default_factory=list, max_length=20)


class Reply(BaseModel):
    """The whole reply."""

    model_config = ConfigDict(extra="ignore")

    verdict: Literal["answer", "abstain", "search"]
    claims: list[WrittenClaim] = Field(default_factory=list, max_length=MAX_CLAIMS)
    missing: str = Field("", max_length=2_000)
    queries: list[str] = Field(default_factory=list)


MOST_POINTERS = 3
"""Sentences that one claim may point at, by the schema."""
MOST_ENUM_VALUES = 250
"""Pointers that a schema lists: beyond it OpenAI limits the length of all together."""


def answer_schema(pointers: Sequence[str] = (), *, may_search: bool = True) -> dict[str, Any]:
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
        },
        "missing": text,
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


LABELS = ("supported", "partly", "not_supported")
JUDGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["labels"],
    "properties": {"labels": {"type": "array", "items": {"type": "string", "enum": list(LABELS)}}},
}


def parse_labels(text: str, count: int) -> list[str | None]:
    """Return a judge's label for each of ``count`` claims; None for one that is not among those offered."""
    found = _loads(_object_text(text))
    labels = found.get("labels") if isinstance(found, dict) else None
    if not isinstance(labels, list) or len(labels) != count:
        return [None] * count
    return [label if label in LABELS else None for label in labels]


class Reader:
    """Collects the pieces of a reply and tells which claims are complete."""

    def __init__(self) -> None:
        self.text = ""
        self._given = 0

    def feed(self, piece: str) -> list[WrittenClaim]:
        """Take a piece; return the claims that it completes."""
        self.text += piece
        if "}" not in piece:
            return []
        return self._fresh(self._closed_claims())

    def _closed_claims(self) -> list[WrittenClaim]:
        """Return the claims so far: what stands after a ``}`` must parse once list and object are closed."""
        body = _object_text(self.text)
        end = body.rfind("}") + 1
        for closing in ("", "]}", "}"):
            found = _loads(body[:end] + closing)
            if found is not None:
                return _valid_claims(found)
        return []

    def _fresh(self, claims: list[WrittenClaim]) -> list[WrittenClaim]:
        fresh = claims[self._given :]
        self._given = max(self._given, len(claims))
        return fresh

    def give_back(self, claims: list[WrittenClaim]) -> None:
        """Take claims back that may not be shown yet; a later call gives them again."""
        self._given -= len(claims)

    def finish(self) -> tuple[Reply, list[WrittenClaim]]:
        """Return the whole reply and the claims not given before.

        Raises:
            EndpointError: (kind ``malformed``) there is no such object in the text.
        """
        reply = parse(self.text)
        return reply, self._fresh(reply.claims)


def parse(text: str) -> Reply:
    """Return the reply in ``text``.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    body = _object_text(text)
    found = _loads(body)
    if found is None:
        found = _first_object(body)
    if not isinstance(found, dict):
        raise EndpointError(
            "model reply: is not the JSON object asked for; try again or another model", kind="malformed"
        )
    try:
        return Reply.model_validate({**found, "claims": _claim_dicts(found), "queries": _queries(found)})
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "object"
        raise EndpointError(
            f"model reply: {where} is not as asked for; try again or another model", kind="malformed"
        ) from None


def read_object(text: str, key: str) -> dict[str, Any]:
    """Return the JSON object in ``text`` that has ``key``.

    Raises:
        EndpointError: (kind ``malformed``) there is none.
    """
    body = _object_text(text)
    found = _loads(body) or _first_object(body, key)
    if not isinstance(found, dict) or key not in found:
        raise EndpointError(
            "model reply: is not the JSON object asked for; try again or another model", kind="malformed"
        )
    return found


def written_claim(value: object) -> WrittenClaim | None:
    """Return ``value`` as a claim; None where it is none."""
    try:
        return WrittenClaim.model_validate(value)
    except ValidationError:
        return None


def _object_text(text: str) -> str:
    """Return the text from its first brace on, thoughts left out."""
    body = _THOUGHTS.sub("", text)
    start = body.find("{")
    return body[start:] if start >= 0 else ""


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _first_object(body: str, key: str = "verdict") -> Any:
    """Return the first JSON object with ``key`` that begins at a brace and ends before trailing prose."""
    decoder = json.JSONDecoder()
    for match in list(re.finditer(r"\{", body))[:20]:
        try:
            found, _ = decoder.raw_decode(body, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and key in found:
            return found
    return None


def _claim_dicts(found: dict[str, Any]) -> list[Any]:
    claims = found.get("claims")
    return claims[:MAX_CLAIMS] if isinstance(claims, list) else []


def _queries(found: dict[str, Any]) -> list[str]:
    queries = found.get("queries")
    texts = [q.strip()[:300] for q in queries if isinstance(q, str)] if isinstance(queries, list) else []
    return [q for q in texts if q][:MAX_QUERIES]


def _valid_claims(found: Any) -> list[WrittenClaim]:
    claims: list[WrittenClaim] = []
    for item in _claim_dicts(found) if isinstance(found, dict) else []:
        try:
            claims.append(WrittenClaim.model_validate(item))
        except ValidationError:
            break  # the whole reply will be judged in `parse`
    return claims
