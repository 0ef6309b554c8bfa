"""Data folders: as NumPy, SciPy and json write them in all their forms, and as they read ours."""

import os

import numpy as np
import scipy.sparse as sp

from . import arrays
from .dataset import expect, fingerprint, make, write_folder, write_json
from .harness import DTYPES, INTEGERS


def forms(data):
    """Yields a name and a function that replaces files of a folder by others of equal meaning."""
    for dtype in DTYPES:
        if dtype == "bool" or dtype.startswith("u"):
            continue  # the features are signed
        for byte_order in "<>":
            for order in "CF":
                def feats(path, dtype=dtype, byte_order=byte_order, order=order):
                    a = data.feats.astype(np.dtype(dtype).newbyteorder(byte_order), order=order)
                    arrays.write_array(os.path.join(path, "feats.npy"), a, 1 + len(dtype) % 3)
                yield f"features {byte_order}{dtype} {order}", feats
    for index in ("int32", "int64"):
        for compressed in (False, True):
            for kind in (sp.csr_matrix, sp.csr_array):
                def graphs(path, index=index, compressed=compressed, kind=kind):
                    for name, m in (("adj_full", data.full), ("adj_train", data.train)):
                        m = kind((m.data.astype("float64"), m.indices, m.indptr), shape=m.shape)
                        m.indices, m.indptr = m.indices.astype(index), m.indptr.astype(index)
                        for row in range(data.n):  # columns in descending order
                            part = slice(m.indptr[row], m.indptr[row + 1])
                            m.indices[part], m.data[part] = m.indices[part][::-1], m.data[part][::-1]
                        sp.save_npz(os.path.join(path, name + ".npz"), m, compressed=compressed)
                yield f"{kind.__name__} {index} compressed {compressed}", graphs

    def json_forms(path):
        write_json(os.path.join(path, "role.json"), {k: v[::-1] for k, v in reversed(data.roles.items())}, indent=1)
        write_json(os.path.join(path, "class_map.json"), dict(reversed(data.class_map().items())), indent="\t")

    yield "indented json in another order", json_forms

    def json_floats(path):
        labels = {k: np.asarray(v, dtype=float).tolist() for k, v in data.class_map().items()}
        write_json(os.path.join(path, "class_map.json"), labels, separators=(",", ":"))

    yield "labels as floats", json_floats
    for dtype in INTEGERS:
        if not data.multi and dtype.startswith("u"):
            continue  # there are nodes without labels, which are -1
        def others(path, dtype=dtype):
            for name in ("role.json", "class_map.json"):
                os.remove(os.path.join(path, name))
            np.savez_compressed(os.path.join(path, "role.npz"), **{k: np.array(v, dtype) for k, v in data.roles.items()})
            np.save(os.path.join(path, "labels.npy"), data.labels.astype(dtype))
        yield f"role.npz and labels.npy {dtype}", others


def run(h):
    rng = np.random.default_rng(6)
    for multi in (False, True):
        for symmetric in (False, True):
            data = make(rng, multi=multi, symmetric=symmetric, weighted=True)
            name = f"multi {multi}, symmetric {symmetric}"
            plain = write_folder(h.path(), data)
            want = fingerprint(h, plain)
            for what, change in forms(data) if symmetric else []:
                path = write_folder(h.path(), data)
                change(path)
                h.equal(f"{name}: {what}", fingerprint(h, path), want)
            other = make(rng, multi=multi, symmetric=symmetric, weighted=True)
            h.true(name + ": another set", fingerprint(h, write_folder(h.path(), other)) != want)
    for name in ("tiny",):
        path = h.path()
        h.saint("synth", name, "--out", path)
        full, train = sp.load_npz(os.path.join(path, "adj_full.npz")), sp.load_npz(os.path.join(path, "adj_train.npz"))
        lines, _ = h.saint("inspect", path)
        report = lines[0]
        h.equal(name + ": edges", (full.nnz, train.nnz), (report["full_graph"]["edges"], report["train_graph"]["edges"]))
        degrees = np.diff(full.indptr)
        h.equal(name + ": largest degree", report["full_graph"]["degrees"]["max"], int(degrees.max()))
        h.equal(name + ": symmetric", report["full_graph"]["symmetric"], (full != full.T).nnz == 0)
        count, _ = sp.csgraph.connected_components(full, directed=False)
        h.equal(name + ": components", report["full_graph"]["components"]["count"], count)
    # Read and written anew by us, through tables: every file is what the others write.
    for multi in (False, True):
        for weighted in (False, True):
            data = make(rng, multi=multi, weighted=weighted)
            tables, back = h.path(), h.path()
            keep = ["--edge_weight"] if weighted else []
            h.saint("convert", "to-tables", "--in", write_folder(h.path(), data), "--out", tables, *keep)
            h.saint("convert", "tables", "--in", tables, "--out", back, *keep)
            expect(h, f"written: multi {multi}, weighted {weighted}", back, data, weighted)
