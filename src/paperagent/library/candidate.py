"""What a search of the library nominates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector


class Candidate(NamedTuple):
    """A paper that one of the indexes nominates, with what exact scores are made of.

    A tuple, because a search makes two hundred.
    """

    paper_id: str
    terms: NDArray[np.uint32]
    """Term ids of title, title again and abstract, in order."""
    vector: Vector | None
    """The embedding of exactly this text, or None."""
    day: int | None
    """yyyymmdd, or None where no day is known."""
