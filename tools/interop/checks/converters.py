"""The other converters: flat arrays of the C++ precursor, NumPy arrays, gnn-benchmark archives, lists
of edges and the benchmark's own files, as NumPy, SciPy, Polars and gzip write them."""

import gzip
import itertools
import os

import numpy as np
import polars as pl
import scipy.sparse as sp

from .dataset import Dataset, converted, csr, expect_matrix, make, read_json, restricted, write_folder, write_json
from .harness import FLOATS, INTEGERS


def cpp(h, rng):
    for multi, symmetric in itertools.product((False, True), repeat=2):
        data, what = make(rng, multi=multi, symmetric=symmetric), f"cpp: multi {multi}, symmetric {symmetric}"
        out = write_cpp(h, data, what)
        os.remove(os.path.join(out, "saint.json"))  # as the C++ program's users have it
        data.feats.astype("<f8").T.tofile(os.path.join(out, "feats_norm_col.bin"))
        if not multi:
            data.labels = np.where(data.labels >= 0, data.labels - 3, -1)
        converted(h, what + ": without saint.json", data, "cpp", "--in", out, "--labels", "multi" if multi else "single")


def write_cpp(h, data, what):
    """Writes a folder for the C++ program, which NumPy reads, and back."""
    out = h.path()
    h.saint("convert", "to-cpp", "--in", write_folder(h.path(), data), "--out", out)

    def read(name, dtype="<i4"):
        return np.fromfile(os.path.join(out, name + ".bin"), dtype=dtype)

    parts = [data.train.indices, data.train.indptr, data.full.indices, data.full.indptr]
    names = ["adj_train_indices", "adj_train_indptr", "adj_full_indices", "adj_full_indptr"]
    parts += [np.array(data.roles[k], "int32") for k in ("tr", "te", "va")]
    names += ["node_train", "node_test", "node_val"]
    for name, part in zip(names, parts):
        h.equal(f"{what}: {name}", read(name), part)
    classes = data.labels.shape[1] if data.multi else int(data.labels.max()) - 2
    width = data.feats.shape[1]
    h.equal(what + ": dims", read("dims"), np.array([*(len(p) for p in parts), data.n, width, data.n, classes], "int32"))
    x = data.feats.astype("float64")
    std = x[data.roles["tr"]].std(axis=0)
    z = (x - x[data.roles["tr"]].mean(axis=0)) / np.where(std == 0, 1, std)
    h.close(what + ": features", read("feats_norm_col", "<f8").reshape(width, data.n).T, z, 1e-9)
    hot = data.labels if data.multi else data.labels[:, None] == np.arange(3, 3 + classes)
    h.equal(what + ": labels", read("labels_col", "<f8").reshape(classes, data.n).T, hot.astype("float64"))
    converted(h, what + ": back", data, "cpp", "--in", out)
    return out


def arrays(h, rng):
    for dtype, multi, packed in itertools.product(INTEGERS + FLOATS, (False, True), (False, True)):
        data, what = make(rng, multi=multi, symmetric=False, offset=0), f"arrays: {dtype}, multi {multi}, packed {packed}"
        coo = data.full.tocoo()
        order = rng.permutation(coo.nnz)
        whole = dtype in INTEGERS
        wide = dtype if whole else "int64"
        labels = data.labels.astype(wide if data.multi or not wide.startswith("u") else "int64")
        parts = {
            "edge_index": np.asfortranarray(np.stack([coo.row, coo.col])[:, order].astype(wide)),
            "x": data.feats.astype("float32" if whole else dtype),
            "y": labels,
            **{f"{k}_mask": np.isin(np.arange(data.n), data.roles[r]) for k, r in (("train", "tr"), ("val", "va"), ("test", "te"))},
        }
        path = h.path(".npz" if packed else "")
        if packed:
            np.savez_compressed(path, **parts)
        else:
            os.mkdir(path)
            for name, a in parts.items():
                np.save(os.path.join(path, name + ".npy"), a)
        converted(h, what, data, "arrays", "--in", path)
    # Edges against their direction, with weights, some more than once: as SciPy sums them.
    src, dst, w = rng.integers(0, 50, 400), rng.integers(0, 50, 400), rng.integers(1, 9, 400) / 4
    full = csr(sp.coo_matrix((w, (dst, src)), shape=(50, 50)))
    data = make(rng, n=50, multi=True)
    data = Dataset(full, restricted(full, data.roles["tr"]), data.feats, data.labels, data.roles)
    path, split = h.path(".npz"), h.path(".json")
    np.savez(path, src=src, dst=dst, edge_weight=w, x=data.feats, y=data.labels)
    write_json(split, data.roles)
    args = ("arrays", "--in", path, "--rows", "target", "--edge_weight", "--split", split)
    converted(h, "arrays: weighted, target rows", data, *args, weighted=True)


def shchur(h, rng):
    for dense, old, dtype in itertools.product((False, True), (False, True), ("float32", "float64")):
        data = make(rng, weighted=True, offset=0)
        data.labels = np.where(data.labels < 0, 0, data.labels)
        attributes = csr(data.feats)
        attributes.eliminate_zeros()
        parts = {"labels": data.labels}
        for prefix, m in (("adj", data.full), ("attr", attributes)):
            if prefix == "attr" and dense:
                parts["attr_matrix"] = data.feats.astype(dtype)
                continue
            sep = "_matrix." if old else "_"
            for part, a in (("data", m.data.astype(dtype)), ("indices", m.indices), ("indptr", m.indptr), ("shape", np.array(m.shape))):
                parts[f"{prefix}{sep}{part}"] = a
        path, split = h.path(".npz"), h.path(".json")
        np.savez_compressed(path, **parts)
        write_json(split, data.roles)
        what = f"shchur: dense {dense}, old {old}, {dtype}"
        converted(h, what, data, "shchur", "--in", path, "--split", split, "--edge_weight", weighted=True)


def edge_list(h, rng):
    for separator, header, form in itertools.product(",\t; ", (True, False), ("csv", "csv.gz", "parquet")):
        if form == "parquet" and (separator != "," or not header):
            continue
        data = make(rng, weighted=True, offset=0)
        coo = data.full.tocoo()
        order = rng.permutation(coo.nnz)
        role = {"tr": "train", "va": "val", "te": "test"}
        tables = {
            "edges": pl.DataFrame({"src": coo.row[order], "dst": coo.col[order], "weight": coo.data[order]}),
            "feats": pl.DataFrame({"id": np.arange(data.n), **{f"f{j}": data.feats[:, j] for j in range(6)}}),
            "labels": pl.DataFrame({"id": data.labelled(), "label": data.labels[data.labelled()]}),
            "split": pl.DataFrame([(v, role[r]) for v, r in enumerate(data.role_of()) if r], schema=["id", "role"], orient="row"),
        }
        paths = {}
        for name, table in tables.items():
            paths[name] = h.path("." + form)
            if form == "parquet":
                table.write_parquet(paths[name])
                continue
            text = table.write_csv(separator=separator, include_header=header).encode()
            with (gzip.open if form == "csv.gz" else open)(paths[name], "wb") as f:
                f.write(text)
        args = ["edgelist", "--in", paths["edges"], "--feats", paths["feats"], "--labels", paths["labels"], "--split", paths["split"]]
        args += ["--directed", "--weight", "weight" if header else "3"]
        converted(h, f"edge list: {separator!r}, header {header}, {form}", data, *args, weighted=True)
    # Ids and labels are text: numbered in ascending order.
    data = make(rng, offset=0)
    names = [f"n{v:03d} ä" for v in range(data.n)]
    coo = data.full.tocoo()
    paths = {k: h.path(".csv") for k in ("edges", "labels", "split")}
    pl.DataFrame({"source": [names[v] for v in coo.row], "target": [names[v] for v in coo.col]}).write_csv(paths["edges"])
    kept = data.labelled()
    words = ["ant", "bee, the", "cat", "dog \"d\"", "emu"]
    pl.DataFrame({"id": [names[v] for v in kept], "label": [words[data.labels[v]] for v in kept]}).write_csv(paths["labels"])
    pairs = [(names[v], r) for v, r in enumerate(data.role_of()) if r]
    pl.DataFrame(pairs, schema=["id", "role"], orient="row").write_csv(paths["split"])
    out = h.path()
    h.saint("convert", "edgelist", "--in", paths["edges"], "--labels", paths["labels"], "--split", paths["split"], "--out", out)
    ids = read_json(os.path.join(out, "id_map.json"))
    there = sorted(set(coo.row) | set(coo.col) | set(kept.tolist()) | {v for v, r in enumerate(data.role_of()) if r})
    h.equal("edge list: id_map", ids, {names[v]: i for i, v in enumerate(there)})
    labels = read_json(os.path.join(out, "label_map.json"))
    h.equal("edge list: label_map", labels, {word: i for i, word in enumerate(words)})
    expect_matrix(h, "edge list: text ids", os.path.join(out, "adj_full.npz"), csr(data.full[there][:, there]), False)


def packed(path, rows):
    with gzip.open(path, "wt") as f:
        for row in rows:
            f.write(",".join(str(x) for x in np.atleast_1d(row)) + "\n")


def ogb_folder(h, name, data, coo, split, binary):
    """The benchmark's files for a set; the name of the folder is that of its archive."""
    parent = h.path()
    path = os.path.join(parent, name)
    for part in ("raw", os.path.join("split", split)):
        os.makedirs(os.path.join(path, part))
    raw = os.path.join(path, "raw")
    labels = data.labels if data.multi else np.where(data.labels < 0, np.nan, data.labels.astype("float64"))
    if binary:
        np.savez_compressed(
            os.path.join(raw, "data.npz"), edge_index=np.stack(coo), num_nodes_list=np.array([data.n]),
            num_edges_list=np.array([len(coo[0])]), node_feat=data.feats,
        )
        np.savez_compressed(os.path.join(raw, "node-label.npz"), node_label=labels.reshape(data.n, -1))
    else:
        packed(os.path.join(raw, "edge.csv.gz"), zip(*coo))
        packed(os.path.join(raw, "node-feat.csv.gz"), data.feats)
        packed(os.path.join(raw, "node-label.csv.gz"), labels)
        packed(os.path.join(raw, "num-node-list.csv.gz"), [data.n])
        packed(os.path.join(raw, "num-edge-list.csv.gz"), [len(coo[0])])
    for file, role in (("train", "tr"), ("valid", "va"), ("test", "te")):
        packed(os.path.join(path, "split", split, file + ".csv.gz"), data.roles[role])
    return path


def ogb(h, rng):
    sets = {"arxiv": "time", "products": "sales_ranking", "proteins": "species", "papers100M-bin": "time"}
    for (name, split), binary, directed in itertools.product(sets.items(), (False, True), (False, True)):
        data = make(rng, multi=name == "proteins", offset=0)
        src, dst = rng.integers(0, data.n, 200), rng.integers(0, data.n, 200)
        full = csr(sp.coo_matrix((np.ones(200), (src, dst)), shape=(data.n, data.n)))
        if not directed:
            full = csr(full + full.T)
        full.data[:] = 1
        data = Dataset(full, restricted(full, data.roles["tr"]), data.feats, data.labels, data.roles)
        path = ogb_folder(h, name, data, (src, dst), split, binary)
        what = f"ogb: {name}, binary {binary}, directed {directed}"
        out = converted(h, what, data, "ogb", "--in", path, *(["--directed"] if directed else []))
        no_test = restricted(full, np.setdiff1d(np.arange(data.n), data.roles["te"]))
        expect_matrix(h, what + ": adj_val", os.path.join(out, "adj_val.npz"), no_test, False)


def run(h):
    rng = np.random.default_rng(9)
    cpp(h, rng)
    arrays(h, rng)
    shchur(h, rng)
    edge_list(h, rng)
    ogb(h, rng)
