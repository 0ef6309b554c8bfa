"""Batches as PyTorch tensors, and streams as data sets for torch.utils.data.DataLoader."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from ._batch import Batch
from ._client import Client
from ._ticket import Ticket

# PyTorch says so once in every process, of all that is in the CSR layout.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


@dataclass(frozen=True)
class TorchBatch:
    """A batch as tensors on the CPU which share the memory of its Arrow record.

    They must not be written to. to() makes copies on a device.
    """

    index: int
    """Index of the batch in its phase."""
    nodes: torch.Tensor
    """Global ids, int32 [n]."""
    adj: torch.Tensor
    """Normalised adjacency, sparse CSR, float32 with int32 indices [n, n]: adj @ x aggregates."""
    loss_norm: torch.Tensor
    """Weights of the nodes in the loss, float32 [n]."""
    labels: torch.Tensor | None
    """Classes, int32 [n], or 0/1 rows, uint8 [n, C]."""
    features: torch.Tensor | None
    """float32 [n, F]; None where they were not asked for."""
    edge_ids: torch.Tensor | None
    """Position of each edge in the training graph, int64 [m]; None where they were not asked for."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TorchBatch:
        """The batch on a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                values[name] = value.to(device, non_blocking=non_blocking)
        return TorchBatch(**values)


_EMPTY = {"int32": torch.int32, "int64": torch.int64, "float": torch.float32, "uint8": torch.uint8}


def to_torch(batch: Batch) -> TorchBatch:
    """The batch as tensors, without a copy."""
    meta = batch.meta

    def flat(column: str) -> torch.Tensor:
        values = batch.arrow(column)
        if len(values) == 0:
            return torch.empty(0, dtype=_EMPTY[str(values.type)])
        return torch.from_dlpack(values)

    n = batch.num_nodes
    adj = torch.sparse_csr_tensor(flat("indptr"), flat("indices"), flat("adj_norm"), (n, n), check_invariants=False)
    labels = flat("labels") if meta.labels != "none" else None
    if labels is not None and meta.labels == "multi":
        labels = labels.reshape(-1, meta.num_classes)
    features = flat("features").reshape(-1, meta.num_features) if meta.num_features else None
    edge_ids = flat("edge_ids") if meta.edge_ids else None
    return TorchBatch(batch.index, flat("nodes"), adj, flat("loss_norm"), labels, features, edge_ids)


class StreamDataset(IterableDataset):  # type: ignore[type-arg,misc,unused-ignore]
    """The batches of a stream for a DataLoader (with batch_size=None), in the order of their indices.

    With W workers, worker w reads every W-th batch, and the loader puts them together again: what it
    yields does not depend on W. Under distributed training, rank r of R passes shard=r, shards=R.
    Workers must be started with multiprocessing_context="forkserver" or "spawn": a connection does not
    survive a fork. transform is applied to each batch in the worker; it must be picklable.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        *,
        phase: int = 0,
        seed: int = 1,
        start: int = 0,
        stop: int | None = None,
        shard: int = 0,
        shards: int = 1,
        columns: Collection[str] = (),
        data: str | None = None,
        norm: str | None = None,
        prefetch: int = 2,
        transform: Callable[[Batch], Any] = to_torch,
    ) -> None:
        super().__init__()
        self.client = client
        self.ticket = Ticket(dataset, phase, seed, start, stop, shard, shards, tuple(columns))
        self.data, self.norm, self.prefetch, self.transform = data, norm, prefetch, transform

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        ticket: Ticket | None = self.ticket
        if worker is not None:
            ticket = self.ticket.part(worker.id, worker.num_workers)
        if ticket is None:
            return
        with self.client.stream(ticket, data=self.data, norm=self.norm, prefetch=self.prefetch) as batches:
            for batch in batches:
                yield self.transform(batch)
