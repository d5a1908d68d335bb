"""Embeddings from any OpenAI-compatible server, directly or through OpenAI's Batch API.

`OpenAIEmbedder` embeds texts at once. `BatchClient` submits them as batches, which cost half as much,
finish within a day, and can be resumed by their ids. `collect_and_submit` does this for a library.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Literal, NoReturn

from paperagent.errors import EndpointError, visible
from paperagent.llm.client import Endpoint, EndpointAddress, open_stream
from paperagent.text.sanitize import replace_surrogates
from paperagent.time_limits import Deadline

if TYPE_CHECKING:
    from paperagent.library import Store
    from paperagent.types import Embedder, Progress, Vector

MAX_INPUTS, MAX_REQUEST_TOKENS, MAX_INPUT_TOKENS = 2048, 300_000, 8192
"""OpenAI's limits on one embeddings request. A token is at least one byte, so bytes are counted."""
MAX_BATCH_INPUTS, MAX_FILE_BYTES = 50_000, 150 << 20
"""Limits of one batch; OpenAI allows files of 200 MB. https://platform.openai.com/docs/guides/batch"""
MAX_OUTPUT_BYTES = 90 << 20
"""Replies are limited in size, so a batch is kept small enough for its results."""
BATCH_SETTING = "embedding_batches"
"""The library's setting that holds the ids of its batches."""
_TRANSFER_SECONDS = 900.0
_BATCH_ENDPOINT: Literal["/v1/embeddings"] = "/v1/embeddings"
_FINISHED = frozenset({"completed", "expired", "cancelled", "failed"})
_MARK_KEY = "paperagent"


class OpenAIEmbedder:
    """Embeds texts on an OpenAI-compatible server. Implements `types.Embedder`. Thread-safe.

    Args:
        model: The model's name.
        api_key: Key for the server; not needed if ``base_url`` is a server without one.
        base_url: Base URL of the server; OpenAI's by default.
        timeout: Seconds for a whole request, including retries and pauses.
        dim: Length of the vectors, if known.
        http_client: Used instead of the SDK's own client; for tests.
        sleep: Called for pauses between attempts.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 120.0,
        dim: int | None = None,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = EndpointAddress.parse(api_key=api_key, base_url=base_url)
        self.model = model
        self._endpoint = Endpoint(address, timeout=timeout, http_client=http_client, sleep=sleep)
        self._dim = dim
        self._max_inputs = MAX_INPUTS

    @property
    def embedder_id(self) -> str:
        """``openai:`` and the model's name."""
        return f"openai:{self.model}"

    @property
    def dim(self) -> int:
        """Length of every vector. Makes one request if it was not given."""
        if self._dim is None:
            self._request(["dimension"])
        assert self._dim is not None
        return self._dim

    def embed(self, texts: Iterable[str]) -> Iterator[Vector]:
        """Yield one unit vector [dim] per text, in order; reads ``texts`` one request ahead.

        Texts are truncated to 8,191 bytes, four times the longest abstract.

        Raises:
            EndpointError: The server failed or its reply is unusable. Vectors already yielded stay valid.
        """
        batch: list[str] = []
        batch_bytes = 0
        for text in map(prepare_input, texts):
            size = len(text.encode())
            if batch and (len(batch) >= self._max_inputs or batch_bytes + size > MAX_REQUEST_TOKENS):
                yield from self._vectors(batch)
                batch, batch_bytes = [], 0
            batch.append(text)
            batch_bytes += size
        if batch:
            yield from self._vectors(batch)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _vectors(self, texts: list[str]) -> list[Vector]:
        """Request all texts at once, or in halves if the server takes fewer per request."""
        if len(texts) <= self._max_inputs:
            try:
                return self._request(texts)
            except EndpointError as error:
                if error.kind != "too_large" or len(texts) == 1:
                    raise
                self._max_inputs = min(self._max_inputs, len(texts) // 2)
        half = len(texts) // 2
        return self._vectors(texts[:half]) + self._vectors(texts[half:])

    def _request(self, texts: list[str]) -> list[Vector]:
        def attempt(client: Any) -> list[Vector]:
            # Floats, because not every server supports base64, the SDK's default.
            response = open_stream(client.embeddings, model=self.model, input=texts, encoding_format="float")
            with closing(response):
                return self._parse_vectors(self._endpoint.parse(response), len(texts))

        return self._endpoint.call(attempt, model=self.model)

    def _parse_vectors(self, reply: dict[str, Any], count: int) -> list[Vector]:
        """Return the vectors in the order of their indices; one fault rejects the whole reply."""
        try:
            # The SDK does not sort, and a server may answer in any order.
            rows = {row["index"]: row["embedding"] for row in reply["data"]}
            if len(reply["data"]) != count or sorted(rows) != list(range(count)):
                self._reject(f"{len(reply['data'])} embeddings for {count} texts, or wrong indices")
            vectors = normalize_rows([rows[i] for i in range(count)])
        except (LookupError, TypeError, ValueError):
            self._reject("embeddings that are not rows of finite numbers")
        dim = len(vectors[0])
        if self._dim not in (None, dim):
            self._reject(f"embeddings of {dim} values instead of {self._dim}")
        self._dim = dim
        return vectors

    def _reject(self, problem: str) -> NoReturn:
        fix = "check that the model makes embeddings"
        raise self._endpoint.address.error(f"sent {problem}", fix, "invalid_reply")


def normalize_rows(rows: Sequence[Sequence[float]]) -> list[Vector]:
    """Return ``rows`` scaled to unit length.

    Raises:
        ValueError: The rows are ragged, empty, zero or not finite.
    """
    import numpy as np

    matrix = np.array(rows, np.float64)
    with np.errstate(over="ignore"):
        length = np.linalg.norm(matrix, axis=-1, keepdims=True)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(length).all() or not length.all():
        raise ValueError("not unit vectors")
    return list((matrix / length).astype(np.float32))


def prepare_input(text: str) -> str:
    """Return ``text`` as a server accepts it: not empty, valid UTF-8, below the limit of one input."""
    encoded = replace_surrogates(text[:MAX_INPUT_TOKENS]).encode()
    text = encoded[: MAX_INPUT_TOKENS - 1].decode(errors="ignore")
    return text if text.strip() else "-"


# --- Batch API ---


@dataclass(frozen=True, slots=True)
class BatchJob:
    """The state of a batch, as the server reports it."""

    batch_id: str
    status: str
    output_file: str | None = None
    """Id of the file with the results."""
    error_file: str | None = None
    """Id of the file with the requests that failed or expired."""
    error: str = ""
    """Why the whole batch failed, redacted."""

    @property
    def finished(self) -> bool:
        """Whether the batch has reached its final state."""
        return self.status in _FINISHED


@dataclass(slots=True)
class BatchResults:
    """The results of one batch by `text_hash`."""

    vectors: dict[str, bytes] = field(default_factory=dict)
    """In half precision, as the library stores them."""
    failed: set[str] = field(default_factory=set)


class BatchClient:
    """Embedding batches of one model at one server.

    A request's ``custom_id`` is the hash of its text, so that a result finds its paper even if the library
    has changed meanwhile.

    Args:
        endpoint: The server.
        model: The embedding model's name.
        dim: Length of its vectors.
    """

    def __init__(self, endpoint: Endpoint, model: str, *, dim: int) -> None:
        self._endpoint = endpoint
        self._model = model
        # A vector arrives as base64 of 4 bytes per number, in a line of JSON.
        self._max_inputs = max(1, min(MAX_BATCH_INPUTS, MAX_OUTPUT_BYTES // (dim * 16 // 3 + 512)))

    def submit(self, texts: Iterable[str], *, mark: str) -> Iterator[str]:
        """Submit texts in as many batches as needed and yield the id of each batch once it exists.

        Args:
            texts: The texts; duplicates are sent once.
            mark: Stored with each batch, to find a batch whose id was lost.

        Raises:
            EndpointError: The server rejected a batch or failed. Earlier batches stay submitted.
        """
        from tempfile import TemporaryFile

        remaining = iter({text_hash(text): text for text in texts}.values())
        while True:
            with TemporaryFile() as file:
                if not self._write_requests(file, remaining):
                    return
                file.seek(0)
                yield self._create(self._upload(file), mark)

    def _write_requests(self, file: IO[bytes], texts: Iterator[str]) -> int:
        count = 0
        for text in islice(texts, self._max_inputs):
            body = {"model": self._model, "input": prepare_input(text), "encoding_format": "base64"}
            line = {"custom_id": text_hash(text), "method": "POST", "url": _BATCH_ENDPOINT, "body": body}
            file.write(json.dumps(line).encode() + b"\n")
            count += 1
            if file.tell() > MAX_FILE_BYTES:
                break
        return count

    def _upload(self, file: IO[bytes]) -> str:
        def attempt(client: Any) -> Any:
            file.seek(0)
            return self._reply(client.files, "create", file=("batch.jsonl", file), purpose="batch")

        return str(self._call(attempt)["id"])

    def _create(self, file_id: str, mark: str) -> str:
        def attempt(client: Any) -> Any:
            return self._reply(
                client.batches,
                "create",
                input_file_id=file_id,
                endpoint=_BATCH_ENDPOINT,
                completion_window="24h",
                metadata={_MARK_KEY: mark},
            )

        return str(self._call(attempt)["id"])

    def find_marked(self, mark: str) -> list[str]:
        """Return the ids of batches that carry ``mark``, oldest first, among the latest hundred."""
        reply = self._call(lambda client: self._reply(client.batches, "list", limit=100))
        rows = reply.get("data") or []
        return [
            str(row["id"]) for row in reversed(rows) if (row.get("metadata") or {}).get(_MARK_KEY) == mark
        ]

    def job(self, batch_id: str) -> BatchJob:
        """Return the current state of a batch."""
        reply = self._call(lambda client: self._reply(client.batches, "retrieve", batch_id))
        errors = ((reply.get("errors") or {}).get("data") or [{}])[0]
        return BatchJob(
            batch_id,
            status=visible(str(reply.get("status")), limit=40),
            output_file=reply.get("output_file_id"),
            error_file=reply.get("error_file_id"),
            error=self._endpoint.address.redact(str(errors.get("message") or "")),
        )

    def results(self, job: BatchJob) -> BatchResults:
        """Return the results of a finished batch."""
        results = BatchResults()
        for line in self._lines(job.output_file):
            custom_id, vector = _parse_result(line)
            if vector is None:
                results.failed.add(custom_id)
            else:
                results.vectors[custom_id] = vector
        results.failed.update(str(line.get("custom_id")) for line in self._lines(job.error_file))
        return results

    def _lines(self, file_id: str | None) -> Iterator[dict[str, Any]]:
        if file_id is None:
            return

        def attempt(client: Any) -> bytes:
            with closing(_open_response(client.files, "content", file_id)) as response:
                return b"".join(self._endpoint.blocks(response))

        for line in self._call(attempt).splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row

    def _reply(self, resource: Any, method: str, *args: Any, **request: Any) -> dict[str, Any]:
        with closing(_open_response(resource, method, *args, **request)) as response:
            return self._endpoint.parse(response)

    def _call(self, attempt: Callable[[Any], Any]) -> Any:
        deadline = Deadline.after(_TRANSFER_SECONDS)
        return self._endpoint.call(attempt, model=self._model, deadline=deadline)


class CollectedEmbedder:
    """An embedder that returns the vectors of a finished batch.

    A text that failed in the batch, or was not in it, is embedded directly. After the last text that the
    batch covers, it raises `NoVectorYetError`.

    Args:
        results: The results of the batch.
        direct: The embedder for texts without a result.
    """

    def __init__(self, results: BatchResults, direct: Embedder) -> None:
        self.embedder_id, self.dim = direct.embedder_id, direct.dim
        self._results = results
        self._direct = direct

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield the vectors of ``texts``, as far as the batch covers them.

        Raises:
            NoVectorYetError: The batch does not cover the next text.
        """
        from paperagent.library.protocol import NoVectorYetError

        hashes = [text_hash(text) for text in texts]
        covered = self._results.vectors.keys() | self._results.failed
        last = max((i for i, name in enumerate(hashes) if name in covered), default=-1)
        for i, (name, text) in enumerate(zip(hashes, texts, strict=True)):
            if i > last:
                raise NoVectorYetError("vectors: waiting for a batch; run the same command later")
            data = self._results.vectors.get(name)
            yield next(iter(self._direct.embed([text]))) if data is None else self._decode(data)

    def _decode(self, data: bytes) -> Vector:
        import numpy as np

        vector = np.frombuffer(data, "<f2").astype(np.float32)
        if len(vector) != self.dim:
            raise EndpointError(
                f"batch: vectors of {len(vector)} numbers instead of {self.dim}; check PAPERAGENT_EMBEDDER",
                kind="invalid_reply",
            )
        return vector


def collect_and_submit(
    store: Store, embedder: Embedder, batches: BatchClient, *, progress: Progress | None = None
) -> tuple[int, tuple[str, ...]]:
    """Store the vectors of finished batches, then submit the papers that still have none.

    Call it again until nothing is pending. The ids of the batches are kept in the library. A batch whose
    id was lost because the process was killed is found by its mark.

    Returns:
        The number of vectors added, and notes for the user.
    """
    setting = store.get_setting(BATCH_SETTING) or {}
    mark = str(setting.get("mark") or secrets.token_hex(8))
    done = [str(i) for i in setting.get("done") or []]
    batch_ids = [str(i) for i in setting.get("open") or []]
    if setting:
        batch_ids += [i for i in batches.find_marked(mark) if i not in {*batch_ids, *done}]
    added, notes, open_ids = 0, list[str](), list[str]()

    def save() -> None:
        store.set_setting(BATCH_SETTING, {"mark": mark, "open": open_ids, "done": done[-100:]})

    jobs = [batches.job(batch_id) for batch_id in batch_ids]
    open_ids = [job.batch_id for job in jobs if not job.finished]
    for job in (job for job in jobs if job.finished):
        collected = CollectedEmbedder(batches.results(job), embedder)
        added += store.embed_pending(collected, progress=progress)[0]
        done.append(job.batch_id)
        save()
        notes.append(f"batch {visible(job.batch_id)} {job.status}{job.error and ': ' + job.error}")
    # One round at a time: papers in a pending batch must not be submitted, and paid for, twice.
    if not open_ids and not any(job.status == "failed" for job in jobs):
        save()
        for batch_id in batches.submit(store.pending_texts(), mark=mark):
            open_ids.append(batch_id)
            save()
    if open_ids:
        notes.append(f"pending batches: {len(open_ids)}, the first {open_ids[0]}; run the same command later")
    return added, tuple(notes)


def text_hash(text: str) -> str:
    """Return the ``custom_id`` of a text: 32 hexadecimal digits."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _open_response(resource: Any, method: str, *args: Any, **request: Any) -> Any:
    """Call a method of one of the SDK's resources and return the response with its body unread."""
    return getattr(resource.with_streaming_response, method)(*args, **request).__enter__().http_response


def _parse_result(line: dict[str, Any]) -> tuple[str, bytes | None]:
    """Return the custom id of a line of results, and its vector if it has a valid one."""
    import numpy as np

    custom_id = str(line.get("custom_id"))
    try:
        raw = line["response"]["body"]["data"][0]["embedding"]
        numbers: Any = np.frombuffer(base64.b64decode(raw), "<f4") if isinstance(raw, str) else raw
        (vector,) = normalize_rows([numbers])
    except (LookupError, TypeError, ValueError):
        return custom_id, None
    return custom_id, vector.astype("<f2").tobytes()
