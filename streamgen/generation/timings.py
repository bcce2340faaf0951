"""What a chunk took, stage by stage: measured here, kept in its record."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from streamgen.packets import ChunkRecord

_NS_PER_MS: Final = 1_000_000


def with_timings(record: ChunkRecord, timings_ms: Mapping[str, float]) -> ChunkRecord:
    """The record with more timings."""
    return replace(record, timings_ms={**record.timings_ms, **timings_ms})


def ms_since(started_ns: int) -> float:
    """Time that has passed since then on the clock of `time.perf_counter_ns`, in ms."""
    return (time.perf_counter_ns() - started_ns) / _NS_PER_MS
