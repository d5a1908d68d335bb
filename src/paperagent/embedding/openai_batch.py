"""Embeddings in bulk by OpenAI's Batch API: half the price, within a day, resumable by the batch's id.

Limits of one batch: 50,000 inputs, a file of 200 MB. A request's ``custom_id`` is the hash of its text,
so that a result finds its paper whatever happened to the library in the meantime.
https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Literal

from paperagent.embedding.openai_embedder import sendable, unit_rows
from paperagent.errors import EndpointError, visible
from paperagent.library.protocol import NoVectorYetError

if TYPE_CHECKING:
    from paperagent.llm.client import Endpoint
    from paperagent.types import Embedder, Vector

MOST_INPUTS, MOST_FILE_BYTES = 50_000, 150 << 20
MOST_OUTPUT_BYTES = 90 << 20
"""What is read of one reply is bounded, so a batch is made small enough for its result."""
_TRANSFER_SECONDS = 900.0
_ENDPOINT: Literal["/v1/embeddings"] = "/v1/embeddings"
_FINISHED = frozenset({"completed", "expired", "cancelled", "failed"})
_MARK = "paperagent"


@dataclass(frozen=True, slots=True)
class Job:
    """A batch as the server sees it."""

    batch_id: str
    status: str
    output: str | None = None
    """The file of results."""
    faults: str | None = None
    """The file of requests that failed, or were not reached in time."""
    why: str = ""
    """Why the whole batch failed, cleaned."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _FINISHED


@dataclass(slots=True)
class Results:
    """The vectors of one batch by the hash of their text."""

    vectors: dict[str, bytes] = field(default_factory=dict)
    """Half precision, as the library keeps them."""
    failed: set[str] = field(default_factory=set)


class Batches:
    """Batches of one model at one server."""

    def __init__(self, endpoint: Endpoint, model: str, *, dim: int) -> None:
        self._endpoint = endpoint
        self._model = model
        # A vector comes as base64 of 4 bytes a number, in a line of JSON.
        self._most = max(1, min(MOST_INPUTS, MOST_OUTPUT_BYTES // (dim * 16 // 3 + 512)))

    def submit(self, texts: Iterable[str], *, mark: str) -> Iterator[str]:
        """Send texts in as many batches as they need; yield the id of each as soon as it exists.

        ``mark`` is kept with the batch, so that one whose id was lost is found again.

        Raises:
            EndpointError: the server refused or failed; batches before it stand.
        """
        from tempfile import TemporaryFile

        remaining = iter({digest(text): text for text in texts}.values())
        while True:
            with TemporaryFile() as file:
                if not self._fill(file, remaining):
                    return
                file.seek(0)
                yield self._create(self._upload(file), mark)

    def _fill(self, file: IO[bytes], texts: Iterator[str]) -> int:
        count = 0
        for text in islice(texts, self._most):
            body = {"model": self._model, "input": sendable(text), "encoding_format": "base64"}
            line = {"custom_id": digest(text), "method": "POST", "url": _ENDPOINT, "body": body}
            file.write(json.dumps(line).encode() + b"\n")
            count += 1
            if file.tell() > MOST_FILE_BYTES:
                break
        return count

    def _upload(self, file: IO[bytes]) -> str:
        def send(client: Any) -> Any:
            file.seek(0)
            return self._reply(client.files, "create", file=("batch.jsonl", file), purpose="batch")

        return str(self._call(send)["id"])

    def _create(self, file_id: str, mark: str) -> str:
        def send(client: Any) -> Any:
            return self._reply(
                client.batches,
                "create",
                input_file_id=file_id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={_MARK: mark},
            )

        return str(self._call(send)["id"])

    def marked(self, mark: str) -> list[str]:
        """Return the ids of the latest hundred batches that carry ``mark``, oldest first."""
        reply = self._call(lambda client: self._reply(client.batches, "list", limit=100))
        rows = reply.get("data") or []
        return [str(row["id"]) for row in reversed(rows) if (row.get("metadata") or {}).get(_MARK) == mark]

    def job(self, batch_id: str) -> Job:
        """Return what became of a batch."""
        found = self._call(lambda client: self._reply(client.batches, "retrieve", batch_id))
        errors = ((found.get("errors") or {}).get("data") or [{}])[0]
        why = self._endpoint.address.clean(str(errors.get("message") or ""))
        status = visible(str(found.get("status")), limit=40)
        return Job(batch_id, status, found.get("output_file_id"), found.get("error_file_id"), why)

    def results(self, job: Job) -> Results:
        """Return what a finished batch brought."""
        found = Results()
        for line in self._lines(job.output):
            name, vector = _result(line)
            if vector is None:
                found.failed.add(name)
            else:
                found.vectors[name] = vector
        found.failed.update(str(line.get("custom_id")) for line in self._lines(job.faults))
        return found

    def _lines(self, file_id: str | None) -> Iterator[dict[str, Any]]:
        if file_id is None:
            return

        def read(client: Any) -> bytes:
            with closing(_response(client.files, "content", file_id)) as response:
                return b"".join(self._endpoint.blocks(response))

        for line in self._call(read).splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row

    def _reply(self, resource: Any, verb: str, *args: Any, **request: Any) -> dict[str, Any]:
        with closing(_response(resource, verb, *args, **request)) as response:
            return self._endpoint.parse(response)

    def _call(self, function: Callable[[Any], Any]) -> Any:
        deadline = time.monotonic() + _TRANSFER_SECONDS
        return self._endpoint.call(function, model=self._model, deadline=deadline)


class Collected:
    """An embedder that gives the vectors of a finished batch.

    A text that failed there, or came in between, is embedded directly; at the first text behind the
    last one that the batch holds it stops with `NoVectorYetError`.
    """

    def __init__(self, results: Results, direct: Embedder) -> None:
        self.embedder_id, self.dim = direct.embedder_id, direct.dim
        self._results = results
        self._direct = direct

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield the vectors of ``texts`` as far as the batch reaches."""
        names = [digest(text) for text in texts]
        known = self._results.vectors.keys() | self._results.failed
        reach = max((place for place, name in enumerate(names) if name in known), default=-1)
        for place, (name, text) in enumerate(zip(names, texts, strict=True)):
            if place > reach:
                raise NoVectorYetError("vectors: waiting for a batch; run the same command later")
            held = self._results.vectors.get(name)
            yield next(iter(self._direct.embed([text]))) if held is None else self._vector(held)

    def _vector(self, held: bytes) -> Vector:
        import numpy as np

        vector = np.frombuffer(held, "<f2").astype(np.float32)
        if len(vector) != self.dim:
            raise EndpointError(
                f"batch: vectors of {len(vector)} numbers instead of {self.dim}; check PAPERAGENT_EMBEDDER",
                kind="invalid_reply",
            )
        return vector


def digest(text: str) -> str:
    """Return the ``custom_id`` of a text: 32 hexadecimal digits."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _response(resource: Any, verb: str, *args: Any, **request: Any) -> Any:
    """Return the response to a call of one of the SDK's resources, its body not read yet."""
    return getattr(resource.with_streaming_response, verb)(*args, **request).__enter__().http_response


def _result(line: dict[str, Any]) -> tuple[str, bytes | None]:
    """Return the custom id of a line of results, and its vector where there is a sound one."""
    import numpy as np

    name = str(line.get("custom_id"))
    try:
        raw = line["response"]["body"]["data"][0]["embedding"]
        numbers: Any = np.frombuffer(base64.b64decode(raw), "<f4") if isinstance(raw, str) else raw
        (vector,) = unit_rows([numbers])
    except (LookupError, TypeError, ValueError):
        return name, None
    return name, vector.astype("<f2").tobytes()
