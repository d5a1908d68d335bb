"""Limits on how often one reader may do something: token buckets in memory.

A reader is an IPv4 address or an IPv6 /64 network, which is what one household or machine has.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

MINUTE, HOUR = 60.0, 3600.0
LIMITS: Mapping[str, tuple[tuple[int, float], ...]] = {
    "page": ((300, MINUTE),),
    "search": ((60, MINUTE),),
    "ask": ((6, MINUTE), (60, HOUR)),
    "sign-in": ((5, HOUR),),
    "subscribe": ((5, HOUR),),
    "preview": ((10, HOUR),),
    "none": (),
}
"""Name → pairs of a number of requests and the seconds in which they are allowed."""
MAX_BUCKETS = 10_000
"""Buckets in memory; the least recently used one is dropped."""


class RateLimiter:
    """Counts the requests of readers. Its methods may be called from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, int, str], tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, address: str) -> int:
        """Count a request.

        Args:
            name: One of `LIMITS`.
            address: The IP address of the reader.

        Returns:
            0 if the request is allowed; otherwise the seconds to wait. A refused request does not count.
        """
        key, limits = network_of(address), LIMITS[name]
        with self._lock:
            now = self._clock()
            buckets = [(name, index, key) for index in range(len(limits))]
            tokens = [
                self._tokens(bucket, *limit, now) for bucket, limit in zip(buckets, limits, strict=True)
            ]
            waits = [
                (1 - left) * seconds / count for left, (count, seconds) in zip(tokens, limits, strict=True)
            ]
            if any(wait > 0 for wait in waits):
                return math.ceil(max(waits))
            for bucket, left in zip(buckets, tokens, strict=True):
                self._buckets[bucket] = (left - 1, now)
                self._buckets.move_to_end(bucket)
            while len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        return 0

    def _tokens(self, bucket: tuple[str, int, str], count: int, seconds: float, now: float) -> float:
        left, at = self._buckets.get(bucket, (float(count), now))
        return min(float(count), left + (now - at) * count / seconds)


def network_of(address: str) -> str:
    """Return the network whose requests count together: an IPv4 address, or an IPv6 /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
