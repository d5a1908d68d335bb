"""Embedding a big backlog on many cores or machines: a Ray Data job over a pool of actors.

The extra ``ray``. An embedder like any other, so the store keeps what it gives, page by page: a job
that is stopped goes on at the page where it was. https://docs.ray.io/en/latest/data/data.html
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
"""Texts of one job: what a kill costs, and many times what starting the actors does."""
_BATCH = 64


class RayEmbedder:
    """Embeds by ``workers`` actors, each with a model of its own, made by ``load`` where it runs.

    ``address`` is a cluster's (``auto``, ``ray://HOST:10001``); without one, Ray starts on this machine.

    Raises:
        ConfigError: the extra is not installed, or the cluster cannot be reached.
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
        """Yield one unit vector a text, in order, once all are made."""
        import numpy as np

        data = self._start()
        rows = [{"place": place, "text": text} for place, text in enumerate(texts)]
        if not rows:
            return
        # As many blocks as keep every actor busy to the end.
        blocks = min(len(rows), 4 * self._workers)
        job = data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(self._load,),
            batch_size=_BATCH,
            compute=data.ActorPoolStrategy(size=self._workers),
            num_cpus=1,
        )
        made: list[Vector | None] = [None] * len(rows)
        for row in job.iter_rows():  # in whatever order the actors finish
            made[row["place"]] = np.asarray(row["vector"], np.float32)
        yield from (vector for vector in made if vector is not None)

    def close(self) -> None:
        """Stop what was started on this machine; leave a cluster."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def _start(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports to its makers
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise ConfigError("ray: not installed; run pip install 'paperagent[ray]'") from error
        if not ray.is_initialized():
            # Alone on this machine nothing needs to listen to the network.
            own = {
                "num_cpus": self._workers + 1,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }
            where: dict[str, Any] = {"address": self._address} if self._address else own
            try:
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"ray: no cluster there: {type(error).__name__}; check --ray-address"
                ) from error
            self._started = True
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # what goes wrong is raised
        return ray.data


class _Actor:
    """Holds a model in a process of its own."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._embedder = load()

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.generic]]:
        """Return the vectors of a batch of texts, with their places."""
        import numpy as np

        texts = [str(text) for text in batch["text"]]
        return {"place": batch["place"], "vector": np.stack(list(self._embedder.embed(texts)))}
