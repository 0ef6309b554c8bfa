"""Tables: Parquet and Arrow files by pyarrow and Polars, in all their forms."""

import itertools
import os

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from .dataset import converted, make, write_folder
from .harness import FLOATS, INTEGERS, Refused, tame, unpack, values

ROWS = 57
COMPRESSIONS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]


def columns(rng):
    """name: (values with None for null, pyarrow's type, how to read it)."""
    out = {}
    gaps = rng.random(ROWS) < 0.2
    for dtype in ["bool", *INTEGERS]:
        a = [int(x) if dtype != "uint64" else int(x) >> 1 for x in values(dtype, ROWS, rng)]
        out[dtype] = (a, pa.bool_() if dtype == "bool" else pa.type_for_alias(dtype), "int")
        out[dtype + "_null"] = ([None if g else x for x, g in zip(a, gaps)], out[dtype][1], "int")
    for dtype in FLOATS[1:]:
        a = [float(x) for x in values(dtype, ROWS, rng)]
        out[dtype] = (a, pa.type_for_alias(dtype), "float")
        out[dtype + "_null"] = ([None if g else x for x, g in zip(a, gaps)], out[dtype][1], "float")
    text = [f"{'ä𝄞 ' * (i % 4)}{i % 7}" for i in range(ROWS)]
    for name, kind in (("string", pa.string()), ("large_string", pa.large_string())):
        out[name] = (text, kind, "text")
        out[name + "_null"] = ([None if g else x for x, g in zip(text, gaps)], kind, "text")
    lists = [[int(x) for x in tame("int64", i % 4, rng)] for i in range(ROWS)]
    three = [[int(x) for x in tame("int64", 3, rng)] for i in range(ROWS)]
    out["list"] = (lists, pa.list_(pa.int32()), "list")
    out["list_null"] = ([None if g else x for x, g in zip(lists, gaps)], pa.list_(pa.int64()), "list")
    out["large_list"] = (lists, pa.large_list(pa.uint8()), "list")
    out["fixed_list"] = (three, pa.list_(pa.int16(), 3), "list")
    return out


def as_table(cols):
    def cells(v, t):
        return [x if x is None else bool(x) for x in v] if t == pa.bool_() else v

    return pa.table({name: pa.array(cells(v, t), type=t) for name, (v, t, _) in cols.items()})


def read_columns(h, what, path, cols, refused=()):
    """Our values are those that were written, or each column is refused with the words."""
    for name, (want, _, kind) in cols.items():
        if refused:
            h.refused(f"{what}: {name}", lambda: h.go("table.read", path=path, columns=[name], **{"as": kind}), path, *refused)
            continue
        got = h.go("table.read", path=path, columns=[name], **{"as": kind})[0]
        if kind == "float":
            h.equal(f"{what}: {name} valid", got["valid"], [x is not None for x in want])
            h.equal(f"{what}: {name}", unpack(got["floats"]), np.array([x for x in want if x is not None]))
        else:
            h.equal(f"{what}: {name}", got[{"int": "ints", "text": "texts", "list": "lists"}[kind]], want)


def parquet(h, cols):
    table = as_table(cols)
    for compression, dictionary, page, version, group in itertools.product(
        COMPRESSIONS, (False, True), ("1.0", "2.0"), ("1.0", "2.6"), (ROWS, 10)
    ):
        if version == "1.0" and (page == "2.0" or group == 10):
            continue
        what = f"parquet {compression}, dictionary {dictionary}, pages {page}, version {version}, groups of {group}"
        path = h.path(".parquet")
        pq.write_table(
            table, path, compression=compression, use_dictionary=dictionary, data_page_version=page, version=version,
            row_group_size=group, data_page_size=64,
        )
        # pyarrow's lz4 is Parquet's LZ4_RAW.
        read_columns(h, what, path, cols, ["LZ4_RAW", "write the file again"] if compression == "lz4" else ())
    ints, floats = {k: v for k, v in cols.items() if v[2] == "int" and k[:4] != "bool"}, {k: v for k, v in cols.items() if v[2] == "float"}
    texts = {k: v for k, v in cols.items() if v[2] == "text"}
    for encoding, some in (
        ("PLAIN", {**ints, **floats, **texts}), ("DELTA_BINARY_PACKED", ints), ("BYTE_STREAM_SPLIT", floats),
        ("DELTA_LENGTH_BYTE_ARRAY", texts), ("DELTA_BYTE_ARRAY", texts),
    ):
        for page in ("1.0", "2.0"):
            path = h.path(".parquet")
            pq.write_table(as_table(some), path, use_dictionary=False, column_encoding=dict.fromkeys(some, encoding), data_page_version=page)
            read_columns(h, f"parquet {encoding}, pages {page}", path, some, [".parquet"] if encoding == "BYTE_STREAM_SPLIT" else ())
    for compression in ("uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"):
        for group in (None, 10):
            path = h.path(".parquet")
            pl.from_arrow(table).write_parquet(path, compression=compression, row_group_size=group)
            what = f"parquet by Polars, {compression}, groups of {group}"
            read_columns(h, what, path, cols, ["LZ4_RAW", "write the file again"] if compression == "lz4" else ())


def arrow(h, cols):
    table = as_table(cols)
    for compression, stream, batch in itertools.product((None, "lz4", "zstd"), (False, True), (None, 10)):
        path = h.path(".arrow")
        options = ipc.IpcWriteOptions(compression=compression)
        with (ipc.new_stream if stream else ipc.new_file)(path, table.schema, options=options) as w:
            w.write_table(table, max_chunksize=batch)
        what = f"arrow {'stream' if stream else 'file'} {compression}, batches of {batch}"
        read_columns(h, what, path, cols)
    for compression in ("uncompressed", "lz4", "zstd"):
        path = h.path(".feather")
        feather.write_feather(table, path, compression=compression)
        read_columns(h, f"feather {compression}", path, cols)
    path = h.path(".feather")
    feather.write_feather(as_table({k: v for k, v in cols.items() if v[2] != "list"}), path, version=1)
    h.refused("feather, first version", lambda: h.go("table.read", path=path, columns=["int32"], **{"as": "int"}), path)
    path = h.path(".arrow")
    pl.from_arrow(table).write_ipc(path, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    read_columns(h, "arrow by Polars", path, cols)
    coded = {"coded": (["a", "b", "a", None], pa.dictionary(pa.int8(), pa.string()), "text")}
    for suffix, write in ((".arrow", feather.write_feather), (".parquet", pq.write_table)):
        path = h.path(suffix)
        write(as_table(coded), path, compression="uncompressed" if suffix == ".arrow" else "none")
        read_columns(h, "categories" + suffix, path, coded, ["dictionary"] if suffix == ".arrow" else ())


def odd(h):
    """Types that are no numbers, texts or lists of numbers: refused, or read as what they are."""
    import datetime
    import decimal

    cells = {
        "date": pa.array([datetime.date(2020, 1, 2)]),
        "timestamp": pa.array([datetime.datetime(2020, 1, 2)]),
        "decimal": pa.array([decimal.Decimal("1.5")]),
        "struct": pa.array([{"a": 1}]),
        "map": pa.array([[("a", 1)]], type=pa.map_(pa.string(), pa.int32())),
        "list of text": pa.array([["a"]]),
        "half": pa.array(np.array([1.5], "float16")),
        "binary": pa.array([b"\xff"]),
    }
    for name, cell in cells.items():
        for suffix in (".parquet", ".arrow"):
            path = h.path(suffix)
            table = pa.table({"a": cell})
            try:
                pq.write_table(table, path) if suffix == ".parquet" else feather.write_feather(table, path, compression="uncompressed")
            except pa.ArrowException:
                continue
            for kind in ("int", "float"):
                if name == "half" and kind == "float":
                    read_columns(h, name + suffix, path, {"a": ([1.5], None, "float")})
                else:
                    h.refused(f"{name}{suffix} as {kind}", lambda: h.go("table.read", path=path, columns=["a"], **{"as": kind}), path)


def damage(h, cols, rng):
    """Truncated or with flipped bits a file is refused, or means what it means to pyarrow; nothing
    panics."""
    some = {k: cols[k] for k in ("int32_null", "float32", "string", "list")}
    table = as_table(some)
    for suffix in (".parquet", ".arrow"):
        path, whole = h.path(suffix), h.path(suffix)
        if suffix == ".parquet":
            pq.write_table(table, whole, compression="zstd")
        else:
            feather.write_feather(table, whole, compression="uncompressed")
        with open(whole, "rb") as f:
            content = f.read()

        def read(damaged):
            os.path.exists(path) and os.remove(path)
            with open(path, "wb") as f:
                f.write(damaged)
            for name, (_, _, kind) in some.items():
                h.go("table.read", path=path, columns=[name], **{"as": kind})

        for length in range(0, len(content), 13):
            h.refused(f"{suffix} truncated after {length} bytes", lambda: read(content[:length]), path)
        for bit in rng.choice(8 * len(content), 600, replace=False):
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            try:
                read(bytes(damaged))
                h.true(f"{suffix} bit {bit} flipped", True)
            except Refused as err:
                h.true(f"{suffix} bit {bit} flipped", err.status == 3 and "\n" not in str(err), str(err))


def expect_tables(h, what, path, suffix, data, weighted):
    """Polars and pyarrow read what we wrote."""
    def both(name):
        file = os.path.join(path, name + suffix)
        if suffix == ".parquet":
            return {"pyarrow": pq.read_table(file), "Polars": pl.read_parquet(file).to_arrow()}
        return {"pyarrow": feather.read_table(file), "Polars": pl.read_ipc(file, memory_map=False).to_arrow()}

    coo = data.full.tocoo()
    for reader, nodes in both("nodes").items():
        nodes = {name: nodes.column(name).to_pylist() for name in nodes.column_names}
        h.equal(f"{what}: node_id by {reader}", nodes["node_id"], list(range(data.n)))
        h.equal(f"{what}: role by {reader}", nodes["role"], data.role_of())
        h.equal(f"{what}: features by {reader}", nodes["features"], data.feats.tolist())
        if data.multi:
            h.equal(f"{what}: labels by {reader}", nodes["labels"], data.labels.tolist())
        else:
            h.equal(f"{what}: label by {reader}", nodes["label"], [x if x >= 0 else None for x in data.labels.tolist()])
    inside = {(u, v) for u, v in zip(*data.train.nonzero())}
    for reader, edges in both("edges").items():
        edges = {name: edges.column(name).to_pylist() for name in edges.column_names}
        order = np.lexsort((edges["dst"], edges["src"]))
        h.equal(f"{what}: edges by {reader}", (np.array(edges["src"])[order].tolist(), np.array(edges["dst"])[order].tolist()),
                (coo.row.tolist(), coo.col.tolist()))
        h.equal(f"{what}: train by {reader}", edges["train"], [(u, v) in inside for u, v in zip(edges["src"], edges["dst"])])
        if weighted:
            h.equal(f"{what}: weight by {reader}", np.array(edges["weight"])[order].tolist(), coo.data.tolist())


def theirs(data, rng, ints, feature, lists):
    """The two tables of a data set in other types, nodes in any order."""
    order, coo = rng.permutation(data.n), data.full.tocoo()
    edges = rng.permutation(coo.nnz)
    role = data.role_of()
    nodes = {
        "node_id": pa.array(order, type=ints),
        "role": pa.array([role[v] for v in order]),
        "features": pa.array(data.feats[order].tolist(), type=lists(feature)),
    }
    if data.multi:
        nodes["labels"] = pa.array(data.labels[order].tolist(), type=lists(ints))
    else:
        nodes["label"] = pa.array([int(x) if x >= 0 else None for x in data.labels[order]], type=ints)
    return pa.table(nodes), pa.table({
        "dst": pa.array(coo.col[edges], type=ints), "src": pa.array(coo.row[edges], type=ints),
        "weight": pa.array(coo.data[edges], type=feature),
    })


def write_ours(h, data, what, suffix, weighted):
    out, keep = h.path(), ["--edge_weight"] if weighted else []
    h.saint("convert", "to-tables", "--in", write_folder(h.path(), data), "--out", out, "--format", suffix[1:], *keep)
    expect_tables(h, what, out, suffix, data, weighted)
    converted(h, what + ": back", data, "tables", "--in", out, *keep, weighted=weighted)


def datasets(h, rng):
    for suffix, multi, weighted in itertools.product((".parquet", ".arrow"), (False, True), (False, True)):
        data = make(rng, multi=multi, symmetric=False, weighted=weighted)
        write_ours(h, data, f"written {suffix}, multi {multi}, weighted {weighted}", suffix, weighted)
    kinds = [
        (ints, feature, lists)
        for ints in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())
        for feature, lists in ((pa.float32(), pa.list_), (pa.float64(), pa.large_list), (pa.float32(), lambda t: pa.list_(t, -1)))
    ]
    for i, (ints, feature, lists) in enumerate(kinds):
        data = make(rng, multi=i % 2 == 0, symmetric=False, weighted=True)
        nodes, edges = theirs(data, rng, ints, feature, lists)
        for suffix in (".parquet", ".arrow"):
            path = h.path()
            os.mkdir(path)
            for name, table in (("nodes", nodes), ("edges", edges)):
                file = os.path.join(path, name + suffix)
                if suffix == ".arrow":
                    feather.write_feather(table, file, compression="uncompressed")
                elif i % 3 == 0:
                    pl.from_arrow(table).write_parquet(file)
                else:
                    pq.write_table(table, file, compression=["zstd", "snappy", "gzip", "brotli"][i % 4], row_group_size=25)
            converted(h, f"theirs {suffix} {ints} {feature}", data, "tables", "--in", path, "--edge_weight", weighted=True)


def run(h):
    rng = np.random.default_rng(10)
    cols = columns(rng)
    parquet(h, cols)
    arrow(h, cols)
    odd(h)
    damage(h, cols, rng)
    datasets(h, rng)
