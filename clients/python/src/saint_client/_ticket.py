"""Tickets name streams of batches. Everything here is a value: nothing is connected."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace

COLUMNS = ("edge_ids", "features")
"""The columns that streams carry only when asked for."""

_MOST_UINT64 = 2**64 - 1
_MOST_PHASE = 2**31 - 1
_MOST_SHARDS = 2**63 - 1
_MOST_NAME = 255


@dataclass(frozen=True)
class Ticket:
    """The batches with start <= index < stop (stop None: no end) and index % shards == shard.

    Batch i is a function of the data set, the phase, the seed and i alone, so a stream is resumed,
    on any server with the same data, by a ticket with another start.
    """

    dataset: str
    phase: int = 0
    seed: int = 1
    start: int = 0
    stop: int | None = None
    shard: int = 0
    shards: int = 1
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", ordered(self.columns))
        if not isinstance(self.dataset, str) or not 0 < len(self.dataset.encode()) <= _MOST_NAME:
            raise ValueError(f"dataset is {self.dataset!r:.80}, want a text of 1 to {_MOST_NAME} bytes")
        least = min(self.start, _MOST_UINT64) if isinstance(self.start, int) else 0
        for name, low, high in (
            ("phase", 0, _MOST_PHASE),
            ("seed", 0, _MOST_UINT64),
            ("start", 0, _MOST_UINT64),
            ("stop", least, _MOST_UINT64),
            ("shards", 1, _MOST_SHARDS),
            ("shard", 0, self.shards - 1 if isinstance(self.shards, int) else 0),
        ):
            value = getattr(self, name)
            if name == "stop" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r:.80}, want a whole number from {low} to {high}")

    def encode(self) -> bytes:
        """The bytes that servers understand: JSON with all keys, in a fixed order."""
        start, stop = self.start, self.stop
        if stop == 0:  # there it means that there is no end
            start = stop = 1
        keys = {
            "dataset": self.dataset,
            "phase": self.phase,
            "seed": self.seed,
            "from": start,
            "to": stop or 0,
            "shard": self.shard,
            "shards": self.shards,
            "columns": list(self.columns),
        }
        return json.dumps(keys, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def first(self) -> int | None:
        """The first index; None where there is no batch."""
        return self._within(self.start + (self.shard - self.start) % self.shards)

    def after(self, index: int) -> int | None:
        """The index that follows one of the stream's; None at the end."""
        return self._within(index + self.shards)

    def _within(self, index: int) -> int | None:
        return index if index < (_MOST_UINT64 + 1 if self.stop is None else self.stop) else None

    def part(self, k: int, parts: int) -> Ticket | None:
        """Every parts-th batch, beginning with the k-th; None where there is none.

        The parts taken in turn are the whole, in its order.
        """
        if self.first is None:
            return None
        first, shards = self.first + k * self.shards, self.shards * parts
        if self._within(first) is None:
            return None
        return replace(self, start=first, shard=first % shards, shards=shards)

    def at(self, start: int) -> Ticket:
        """The same stream from another index on."""
        return replace(self, start=start)


def ordered(columns: Collection[str]) -> tuple[str, ...]:
    """The columns once each, in the order of COLUMNS."""
    if isinstance(columns, str):
        raise ValueError(f"columns is {columns!r:.80}, want a list of names")
    for name in columns:
        if name not in COLUMNS:
            raise ValueError(f"columns has {name!r:.80}, want {' and '.join(COLUMNS)}")
    return tuple(name for name in COLUMNS if name in columns)
