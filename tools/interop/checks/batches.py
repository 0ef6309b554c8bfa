"""Batches: what 'saint sample' writes, read by pyarrow and Polars and held against SciPy; and what
pyarrow writes of them, read by us."""

import hashlib
import json
import os

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

from .dataset import csr, make, write_folder
from .harness import Refused, unpack

COLUMNS = ["index", "nodes", "indptr", "indices", "edge_ids", "adj_norm", "loss_norm", "features", "labels"]


def config(h, loss):
    path = h.path(".yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""network:
  - {{dim: 8, aggr: concat, loss: {loss}, arch: '1-0', act: relu, bias: norm}}
params:
  - {{lr: 0.01, dropout: 0.1, weight_decay: 0, norm_loss: true, norm_aggr: true, sample_coverage: 10}}
phase:
  - {{end: 3, sampler: rw, num_root: 12, depth: 2}}
""")
    return path


def standardised(data):
    """Features as documented: by the training nodes that have an edge among them."""
    coo = data.train.tocoo()
    nodes = np.union1d(coo.row, coo.col)
    x = data.feats.astype("float64")
    std = x[nodes].std(axis=0)
    return (x - x[nodes].mean(axis=0)) / np.where(std == 0, 1, std)


def read(path):
    with ipc.open_stream(path) as r:
        return r.schema, list(r)


def compare(h, what, path, data, features, edge_ids):
    schema, records = read(path)
    h.equal(what + ": columns", schema.names, COLUMNS)
    meta = {k.decode(): v.decode() for k, v in schema.metadata.items()}
    sampler = json.loads(meta["saint.sampler"])
    h.equal(what + ": sampler", (sampler["sampler"], sampler["depth"], sampler["num_root"]), ("rw", 2, 12))
    h.equal(what + ": sizes", (meta["saint.num_nodes"], meta["saint.num_train_edges"]), (str(data.n), str(data.train.nnz)))
    h.equal(what + ": labels", meta["saint.labels"], "multi" if data.multi else "single")
    x, train = standardised(data), csr(data.train)
    for i, record in enumerate(records):
        row = {name: record.column(name)[0] for name in COLUMNS}
        h.equal(f"{what}: index {i}", row.pop("index").as_py(), i)
        row = {name: value.values for name, value in row.items()}
        nodes = row["nodes"].to_numpy()
        sub = csr(train[nodes][:, nodes])
        indices = row["indices"].to_numpy()
        h.equal(f"{what}: indptr {i}", row["indptr"].to_numpy(), sub.indptr)
        h.equal(f"{what}: indices {i}", indices, sub.indices)
        if edge_ids:
            h.equal(f"{what}: edge_ids {i}", train.indices[row["edge_ids"].to_numpy()], nodes[indices])
        else:
            h.equal(f"{what}: no edge_ids {i}", len(row["edge_ids"]), 0)
        h.true(f"{what}: adj_norm {i}", bool(np.all(row["adj_norm"].to_numpy() > 0)) and len(row["adj_norm"]) == sub.nnz)
        lam = row["loss_norm"].to_numpy()
        h.equal(f"{what}: loss_norm {i}", lam > 0, np.isin(nodes, data.roles["tr"]))
        if features:
            got = row["features"].flatten().to_numpy().reshape(len(nodes), -1)
            h.close(f"{what}: features {i}", got, x[nodes], 1e-6)
        else:
            h.equal(f"{what}: no features {i}", len(row["features"]), 0)
        if data.multi:
            h.equal(f"{what}: labels {i}", row["labels"].flatten().to_numpy().reshape(len(nodes), -1), data.labels[nodes])
        else:
            want = np.where(data.labels[nodes] >= 0, data.labels[nodes] - 3, -1).astype("int32")
            h.equal(f"{what}: labels {i}", row["labels"].to_numpy(), want)
    table = pl.read_ipc_stream(path)
    h.equal(what + ": nodes by Polars", table["nodes"].to_list(), [r.column("nodes")[0].as_py() for r in records])
    h.equal(what + ": adj_norm by Polars", table["adj_norm"].to_list(), [r.column("adj_norm")[0].as_py() for r in records])
    # Our own reader says the same.
    ours = h.go("batches.read", path=path)
    h.equal(what + ": read by us", [unpack(b["nodes"]).tolist() for b in ours["batches"]], table["nodes"].to_list())
    return schema, records


def forms(schema, records):
    """Streams of the same batches: name, function that writes one."""
    def write(path, batches, schema=schema, **options):
        with ipc.new_stream(path, schema, options=ipc.IpcWriteOptions(**options)) as w:
            for b in batches:
                w.write_batch(b)

    yield "by pyarrow", lambda path: write(path, records)
    yield "in one record", lambda path: write(path, pa.Table.from_batches(records).combine_chunks().to_batches())
    yield "older framing", lambda path: write(path, records, metadata_version=ipc.MetadataVersion.V5, use_legacy_format=True)
    order = schema.names[::-1]
    turned = [pa.RecordBatch.from_arrays([r.column(n) for n in order] + [pa.array(["x"])], names=[*order, "more"]) for r in records]
    turned = [r.replace_schema_metadata(schema.metadata) for r in turned]
    yield "columns in another order and one more", lambda path: write(path, turned, turned[0].schema)


def run(h):
    rng = np.random.default_rng(11)
    for multi in (False, True):
        data = make(rng, multi=multi)
        folder, yml = write_folder(h.path(), data), config(h, "sigmoid" if multi else "softmax")
        for features in (False, True):
            for edge_ids in (False, True):
                what, path = f"multi {multi}, features {features}, edge_ids {edge_ids}", h.path(".arrows")
                flags = (["--features"] if features else []) + ([] if edge_ids else ["--no_edge_ids"])
                lines, _ = h.saint("sample", "--data_prefix", folder, "--train_config", yml, "--count", 5, "--out", path, *flags)
                with open(path, "rb") as f:
                    whole = f.read()
                digest = hashlib.sha256(whole).hexdigest()
                h.equal(what + ": digest", lines[0]["sha256"], digest)
                schema, records = compare(h, what, path, data, features, edge_ids)
                for name, write in forms(schema, records):
                    other, copy = h.path(".arrows"), h.path(".arrows")
                    write(other)
                    h.equal(f"{what}: {name}", h.go("batches.copy", path=other, out=copy), digest)
    for codec in ("lz4", "zstd"):
        other = h.path(".arrows")
        with ipc.new_stream(other, schema, options=ipc.IpcWriteOptions(compression=codec)) as w:
            w.write_batch(records[0])
        h.refused(codec, lambda: h.go("batches.read", path=other), other, codec.upper(), "compress")
    other = h.path(".arrow")
    with ipc.new_file(other, schema) as w:
        w.write_batch(records[0])
    h.refused("the file form", lambda: h.go("batches.read", path=other), other)
    nothing = records[0].set_column(1, pa.field("nodes", pa.list_(pa.int32())), pa.array([None], type=pa.list_(pa.int32())))
    wrong = {
        "no nodes": records[0].drop_columns(["nodes"]),
        "null": nothing.replace_schema_metadata(schema.metadata),
        "another type": records[0].set_column(1, "nodes", records[0].column("nodes").cast(pa.list_(pa.int64()))),
        "no metadata": records[0].replace_schema_metadata(None),
        "columns that disagree": records[0].set_column(1, schema.field("nodes"), records[1].column("nodes")),
    }
    for name, record in wrong.items():
        other = h.path(".arrows")
        with ipc.new_stream(other, record.schema) as w:
            w.write_batch(record)
        h.refused(name, lambda: h.go("batches.read", path=other), other)
    damage(h, whole, rng)


def damage(h, whole, rng):
    path = h.path(".arrows")

    def read_damaged(content):
        if os.path.exists(path):
            os.remove(path)
        with open(path, "wb") as f:
            f.write(content)
        return h.go("batches.read", path=path)

    for length in range(0, len(whole), max(1, len(whole) // 300)):
        h.refused(f"truncated after {length} bytes", lambda: read_damaged(whole[:length]), path)
    for bit in rng.choice(8 * len(whole), 600, replace=False):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        try:
            read_damaged(bytes(content))
            h.true(f"bit {bit} flipped", True)
        except Refused as err:
            h.true(f"bit {bit} flipped", err.status == 3 and "\n" not in str(err), str(err))
