"""Normalised GraphSAINT subgraphs from 'saint serve', as Arrow, NumPy or PyTorch, without a copy.

    import saint_client

    client = saint_client.Client("grpc://127.0.0.1:8815")
    with client.batches("ppi", seed=1, stop=100, columns=["features"]) as batches:
        for batch in batches:
            batch.nodes, batch.indptr, batch.indices, batch.adj_norm   # NumPy
            batch.torch().adj                                          # a sparse CSR tensor

saint_client.torch has a data set for torch.utils.data.DataLoader.
"""

from ._batch import Batch, read
from ._client import Client, Flight, Norm
from ._errors import MismatchError, RefusedError, SaintError, UnreachableError
from ._meta import Meta
from ._stream import Stream
from ._ticket import COLUMNS, Ticket

__version__ = "0.1.0.dev0"

__all__ = [
    "COLUMNS",
    "Batch",
    "Client",
    "Flight",
    "Meta",
    "MismatchError",
    "Norm",
    "RefusedError",
    "SaintError",
    "Stream",
    "Ticket",
    "UnreachableError",
    "read",
]
