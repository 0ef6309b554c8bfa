"""What a stream says of itself: the metadata of its schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ._errors import MismatchError

VERSION = "1"
"""The major version of the format of batches that this package reads."""


@dataclass(frozen=True)
class Meta:
    """Describes every batch of a stream."""

    dataset: str
    sampler: str
    """JSON of the sampler's name and parameters."""
    seed: int
    phase: int
    num_nodes: int
    """Of the full graph: node ids lie below it."""
    num_train_edges: int
    """Of the training graph: edge ids lie below it."""
    batches_per_epoch: int
    num_features: int
    """Width of the features; 0 where the stream does not carry them."""
    labels: str
    """none, single (a class a node) or multi (a 0/1 row a node)."""
    num_classes: int
    edge_ids: bool
    """Whether the stream carries edge ids."""
    data: str
    """Fingerprint of the data set; empty in files of saint sample."""
    norm: str
    """Names the normalisation: equal keys, equal coefficients; empty in files of saint sample."""

    @property
    def sampler_parameters(self) -> dict[str, Any]:
        """The sampler's name and parameters."""
        return dict(json.loads(self.sampler))


def parse_schema(schema: pa.Schema) -> Meta:
    """Reads and checks a schema of batches."""
    keys: dict[str, str] = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (schema.metadata or {}).items()}

    def text(key: str) -> str:
        if "saint." + key not in keys:
            raise MismatchError(f"metadata saint.{key} is missing: not a stream of batches")
        return keys["saint." + key]

    def number(key: str, most: int) -> int:
        value = text(key)
        if not (value.isascii() and value.isdigit() and len(value) <= 20 and int(value) <= most):
            raise MismatchError(f"metadata saint.{key} is {value!r:.40}, want a whole number from 0 to {most}")
        return int(value)

    version = text("schema")
    if version.split(".")[0] != VERSION:
        raise MismatchError(f"metadata saint.schema is {version!r:.40}, this package reads version {VERSION}")
    int31, int63 = 2**31 - 1, 2**63 - 1
    meta = Meta(
        dataset=text("dataset"),
        sampler=text("sampler"),
        seed=number("seed", 2**64 - 1),
        phase=number("phase", int31),
        num_nodes=number("num_nodes", int31),
        num_train_edges=number("num_train_edges", int63),
        batches_per_epoch=number("batches_per_epoch", int63),
        num_features=number("num_features", int31),
        labels=text("labels"),
        num_classes=number("num_classes", int31),
        edge_ids=text("edge_ids") == "true",
        data=keys.get("saint.data", ""),
        norm=keys.get("saint.norm", ""),
    )
    if meta.labels not in ("none", "single", "multi"):
        raise MismatchError(f"metadata saint.labels is {meta.labels!r:.40}, want none, single or multi")
    for name, want in columns(meta).items():
        at = schema.get_all_field_indices(name)
        if len(at) != 1:
            raise MismatchError(f"column {name} stands {len(at)} times in the schema, want once")
        got = schema.field(at[0]).type
        if not same(got, want):
            raise MismatchError(f"column {name} has type {got}, want {want}")
    return meta


def columns(meta: Meta) -> dict[str, pa.DataType]:
    """The columns of a stream and their types."""
    labels = pa.list_(pa.int32())
    if meta.labels == "multi":
        labels = pa.list_(pa.list_(pa.uint8(), meta.num_classes))
    return {
        "index": pa.uint64(),
        "nodes": pa.list_(pa.int32()),
        "indptr": pa.list_(pa.int32()),
        "indices": pa.list_(pa.int32()),
        "edge_ids": pa.list_(pa.int64()),
        "adj_norm": pa.list_(pa.float32()),
        "loss_norm": pa.list_(pa.float32()),
        "features": pa.list_(pa.list_(pa.float32(), max(1, meta.num_features))),
        "labels": labels,
    }


def same(a: pa.DataType, b: pa.DataType) -> bool:
    """Compares types without the names and nullability of list elements."""
    if a.id != b.id:
        return False
    if pa.types.is_fixed_size_list(b):
        return bool(a.list_size == b.list_size) and same(a.value_type, b.value_type)
    if pa.types.is_list(b):
        return same(a.value_type, b.value_type)
    return True
