"""Embed a large backlog on many cores or machines: a Ray Data job over a pool of actors.

Needs the ``ray`` extra. The library stores the vectors page by page, so an interrupted job resumes at
its last page. https://docs.ray.io/en/latest/data/data.html
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paperagent.errors import ConfigError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Embedder, Vector

PAGE = 20_000
"""Texts per job: few enough that a killed job loses little, many enough to outweigh the
start-up time of the actors."""
_BATCH_SIZE = 64


class RayEmbedder:
    """Embeds on a pool of actors, each with its own model. Implements `types.Embedder`.

    Args:
        load: Loads the model; called in each actor.
        embedder_id: The id of that model.
        dim: Length of its vectors.
        workers: Number of actors.
        address: Address of a cluster (``auto``, ``ray://HOST:10001``); None starts Ray on this machine.

    Raises:
        InputError: ``workers`` is less than 1.
    """

    def __init__(
        self,
        load: Callable[[], Embedder],
        *,
        embedder_id: str,
        dim: int,
        workers: int,
        address: str | None = None,
    ) -> None:
        if workers < 1:
            raise InputError(f"workers: must be 1 or more, got {workers}")
        self.embedder_id = embedder_id
        self.dim = dim
        self._load = load
        self._workers = workers
        self._address = address
        self._started = False

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield one unit vector per text, in order, once all are computed.

        Raises:
            ConfigError: The extra is not installed, or the cluster cannot be reached.
        """
        import numpy as np

        data = self._start()
        rows = [{"index": index, "text": text} for index, text in enumerate(texts)]
        if not rows:
            return
        # Enough blocks to keep every actor busy to the end.
        blocks = min(len(rows), 4 * self._workers)
        job = data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(self._load,),
            batch_size=_BATCH_SIZE,
            compute=data.ActorPoolStrategy(size=self._workers),
            num_cpus=1,
        )
        vectors: list[Vector | None] = [None] * len(rows)
        for row in job.iter_rows():  # in the order in which the actors finish
            vectors[row["index"]] = np.asarray(row["vector"], np.float32)
        yield from (vector for vector in vectors if vector is not None)

    def close(self) -> None:
        """Shut down Ray on this machine, or disconnect from the cluster."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def _start(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray sends usage statistics
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise ConfigError("ray: not installed; run pip install 'paperagent[ray]'") from error
        if not ray.is_initialized():
            # On a single machine nothing needs to listen on the network.
            local_options = {
                "num_cpus": self._workers + 1,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }
            options: dict[str, Any] = {"address": self._address} if self._address else local_options
            try:
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"ray: cannot connect: {type(error).__name__}; check --ray-address"
                ) from error
            self._started = True
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # failures are raised
        return ray.data


class _Actor:
    """Holds a model in its own process."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._embedder = load()

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.generic]]:
        """Return the vectors of a batch of texts with their indices."""
        import numpy as np

        texts = [str(text) for text in batch["text"]]
        return {"index": batch["index"], "vector": np.stack(list(self._embedder.embed(texts)))}
