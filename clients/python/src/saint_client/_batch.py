"""A batch: one normalised training subgraph, as views of the Arrow buffers it came in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ._errors import MismatchError
from ._meta import Meta, parse_schema

if TYPE_CHECKING:
    import numpy as np

    from .torch import TorchBatch


class Batch:
    """A subgraph of n nodes and m edges with its normalisation.

    The arrays are views of one Arrow record, which lives as long as any of them; they are read-only.
    Numbers have the types of the format: int32 for nodes, rows, columns and classes, int64 for edge
    ids, float32 for weights and features, uint8 for 0/1 labels.
    """

    __slots__ = ("_flat", "index", "meta", "record")

    def __init__(self, record: pa.RecordBatch, meta: Meta, row: int = 0) -> None:
        self.record = record if record.num_rows == 1 else record.slice(row, 1)
        """The Arrow record of one row that holds everything."""
        self.meta = meta
        """What the stream says of itself."""
        self._flat: dict[str, pa.Array] = {}
        self.index: int = self.record.column("index")[0].as_py()
        """Index of the batch in its phase, counted through all epochs."""

    def arrow(self, column: str) -> pa.Array:
        """The values of a column as a flat Arrow array, rows of features or labels one after another."""
        flat = self._flat.get(column)
        if flat is None:
            flat = self.record.column(column)[0].values
            if pa.types.is_fixed_size_list(flat.type):
                flat = flat.flatten()
            flat = self._flat[column] = _aligned(flat)
        return flat

    @property
    def num_nodes(self) -> int:
        return len(self.arrow("nodes"))

    @property
    def num_edges(self) -> int:
        return len(self.arrow("indices"))

    @property
    def nodes(self) -> np.ndarray[Any, Any]:
        """Global ids of the nodes, ascending [n]."""
        return self._numpy("nodes")

    @property
    def indptr(self) -> np.ndarray[Any, Any]:
        """Where each row of the adjacency begins [n+1]."""
        return self._numpy("indptr")

    @property
    def indices(self) -> np.ndarray[Any, Any]:
        """Columns of the adjacency: row v lists the local ids that v aggregates from [m]."""
        return self._numpy("indices")

    @property
    def adj_norm(self) -> np.ndarray[Any, Any]:
        """Weights of the edges, the values of the adjacency [m]."""
        return self._numpy("adj_norm")

    @property
    def loss_norm(self) -> np.ndarray[Any, Any]:
        """Weights of the nodes in the loss, 0 for those that are not trained on [n]."""
        return self._numpy("loss_norm")

    @property
    def edge_ids(self) -> np.ndarray[Any, Any] | None:
        """Position of each edge in the training graph [m]; None where they were not asked for."""
        return self._numpy("edge_ids") if self.meta.edge_ids else None

    @property
    def features(self) -> np.ndarray[Any, Any] | None:
        """Features as the model is to see them [n, F]; None where they were not asked for."""
        if not self.meta.num_features:
            return None
        return self._numpy("features").reshape(-1, self.meta.num_features)

    @property
    def labels(self) -> np.ndarray[Any, Any] | None:
        """Classes [n], -1 where unknown, or 0/1 rows [n, C]; None where the data set has none."""
        if self.meta.labels == "none":
            return None
        flat = self._numpy("labels")
        return flat.reshape(-1, self.meta.num_classes) if self.meta.labels == "multi" else flat

    def torch(self) -> TorchBatch:
        """The batch as tensors that share its memory. They must not be written to."""
        from .torch import to_torch

        return to_torch(self)

    def validate(self) -> None:
        """Checks all that the format promises of a batch but the order of columns within rows.

        Nothing in a batch that passes can lead native code outside its memory. Streams call it.
        """
        try:
            self._validate()
        except MismatchError as err:
            raise MismatchError(f"batch {self.index}: {err}") from None
        except pa.ArrowInvalid as err:
            raise MismatchError(f"batch {self.index}: {err}") from None

    def _validate(self) -> None:
        self.record.validate(full=True)
        n, m = self.num_nodes, self.num_edges
        want = {"indptr": n + 1, "adj_norm": m, "loss_norm": n}
        want["edge_ids"] = m if self.meta.edge_ids else 0
        want["features"] = n * self.meta.num_features
        want["labels"] = {"none": 0, "single": n, "multi": n * self.meta.num_classes}[self.meta.labels]
        for name, length in want.items():
            if len(self.arrow(name)) != length:
                raise MismatchError(f"{name} has {len(self.arrow(name))} values, want {length}")
        for name in ("nodes", "indices", *want):
            if self.record.column(name).null_count or self.arrow(name).null_count:
                raise MismatchError(f"{name} has nulls")
        indptr = self.arrow("indptr")
        if indptr[0].as_py() != 0 or indptr[n].as_py() != m or _least_step(indptr) < 0:
            raise MismatchError(f"indptr does not rise from 0 to the {m} edges")
        if _least_step(self.arrow("nodes")) < 1:
            raise MismatchError("nodes do not ascend")
        ranges = {"nodes": (0, self.meta.num_nodes), "indices": (0, n), "edge_ids": (0, self.meta.num_train_edges)}
        ranges["labels"] = (0, 2) if self.meta.labels == "multi" else (-1, self.meta.num_classes)
        for name, (low, end) in ranges.items():
            bounds = pc.min_max(self.arrow(name))
            least, most = bounds["min"].as_py(), bounds["max"].as_py()
            if least is not None and (least < low or most >= end):
                raise MismatchError(f"{name} has values from {least} to {most}, want {low} to {end - 1}")
        for name in ("adj_norm", "loss_norm"):
            if not pc.all(pc.is_finite(self.arrow(name)), min_count=0).as_py():
                raise MismatchError(f"{name} has values that are not finite")

    def __reduce__(self) -> tuple[Any, ...]:
        return Batch, (self.record, self.meta)

    def __repr__(self) -> str:
        return f"Batch(index={self.index}, nodes={self.num_nodes}, edges={self.num_edges})"

    def _numpy(self, column: str) -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = self.arrow(column).to_numpy(zero_copy_only=True)
        return values


def _least_step(values: pa.Array) -> int:
    """The smallest difference of neighbours; 1 where there are none. Overflow is an error."""
    if len(values) < 2:
        return 1
    return int(pc.min(pc.subtract_checked(values.slice(1), values.slice(0, len(values) - 1))).as_py())


def _aligned(values: pa.Array) -> pa.Array:
    """The array itself, or a copy where a message arrived at an odd address."""
    data = values.buffers()[1]
    width = values.type.bit_width // 8
    if data is None or data.address % width == 0:
        return values
    fresh = pa.allocate_buffer(len(values) * width)
    memoryview(fresh)[:] = memoryview(data)[values.offset * width : (values.offset + len(values)) * width]
    return pa.Array.from_buffers(values.type, len(values), [None, fresh], null_count=0)


def read(path: str | os.PathLike[str]) -> Iterator[Batch]:
    """The batches of a file that 'saint sample --out' wrote, as views of the mapped file."""
    with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_stream(source) as reader:
        meta = parse_schema(reader.schema)
        for record in reader:
            for row in range(record.num_rows):
                batch = Batch(record, meta, row)
                batch.validate()
                yield batch
