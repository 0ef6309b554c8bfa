"""Data sets in Python's own terms, and what a data folder must hold for one."""

import json
import os

import numpy as np
import scipy.sparse as sp


class Dataset:
    """full and train are CSR matrices of float32 (row v lists what v aggregates from), labels one
    integer a node (-1: none) or a row of 0 and 1 a node, roles lists of node ids."""

    def __init__(self, full, train, feats, labels, roles):
        self.n = full.shape[0]
        self.full, self.train, self.feats, self.labels, self.roles = full, train, feats, labels, roles

    @property
    def multi(self):
        return self.labels.ndim == 2

    @property
    def symmetric(self):
        return (self.full != self.full.T).nnz == 0

    def role_of(self):
        out = [None] * self.n
        for name, ids in self.roles.items():
            for v in ids:
                out[v] = name
        return out

    def labelled(self):
        return range(self.n) if self.multi else np.flatnonzero(self.labels >= 0)

    def class_map(self):
        return {str(v): self.labels[v].tolist() for v in self.labelled()}


def csr(m):
    m = sp.csr_matrix(m).astype("float32")
    m.sum_duplicates()
    m.sort_indices()
    m.indices, m.indptr = m.indices.astype("int32"), m.indptr.astype("int32")
    return m


def restricted(full, nodes):
    """The edges between the given nodes."""
    keep = sp.diags(np.isin(np.arange(full.shape[0]), nodes).astype("float32"))
    m = csr(keep @ full @ keep)
    m.eliminate_zeros()
    return m


def make(rng, n=60, multi=False, symmetric=True, weighted=False, offset=3):
    """A graph with a self loop, nodes without edges, and nodes without role or label."""
    src, dst = rng.integers(0, n - 2, 4 * n), rng.integers(0, n - 2, 4 * n)
    src[0] = dst[0]
    full = sp.coo_matrix((np.ones(len(src)), (src, dst)), shape=(n, n)).tocsr()
    full.data[:] = rng.integers(1, 9, full.nnz) / 4 if weighted else 1
    if symmetric:
        full = full.maximum(full.T)
    full = csr(full)
    part = rng.permutation(n)
    roles = {"tr": part[: n // 2], "va": part[n // 2 : 3 * n // 4], "te": part[3 * n // 4 : n - 4]}
    roles = {k: sorted(v.tolist()) for k, v in roles.items()}
    if multi:
        labels = rng.integers(0, 2, (n, 4)).astype("uint8")
    else:
        labels = rng.integers(offset, offset + 5, n)
        labels[:5] = np.arange(offset, offset + 5)
        labels[part[n - 2 :]] = -1  # these have no role
        if (labels == offset).sum() == 0 or labels.max() != offset + 4:
            return make(rng, n, multi, symmetric, weighted, offset)
    feats = rng.integers(-8, 9, (n, 6)).astype("float32")
    return Dataset(full, restricted(full, roles["tr"]), feats, labels, roles)


def write_json(path, value, **options):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, **options)


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def write_folder(path, data):
    """A data folder as GraphSAINT's authors made theirs."""
    os.mkdir(path)
    sp.save_npz(os.path.join(path, "adj_full.npz"), data.full)
    sp.save_npz(os.path.join(path, "adj_train.npz"), data.train)
    np.save(os.path.join(path, "feats.npy"), data.feats)
    write_json(os.path.join(path, "role.json"), data.roles)
    write_json(os.path.join(path, "class_map.json"), data.class_map())
    return path


def fingerprint(h, path):
    lines, _ = h.saint("inspect", path, "--edge_weight")
    return lines[0]["fingerprint"]


def expect_matrix(h, what, path, want, weighted):
    got = sp.load_npz(path)
    h.true(what + ": canonical", got.has_canonical_format and got.format == "csr", str(type(got)))
    h.equal(what + ": shape", tuple(got.shape), tuple(want.shape))
    h.equal(what + ": indptr", got.indptr, want.indptr)
    h.equal(what + ": indices", got.indices, want.indices)
    if weighted:
        h.equal(what + ": data", got.data, want.data)
    else:
        h.equal(what + ": data", got.data.astype("float32"), np.ones(want.nnz, "float32"))


def expect(h, what, path, data, weighted=False):
    """What SciPy, NumPy and json read in the folder is the data set."""
    expect_matrix(h, what + ": adj_full", os.path.join(path, "adj_full.npz"), data.full, weighted)
    expect_matrix(h, what + ": adj_train", os.path.join(path, "adj_train.npz"), data.train, weighted)
    h.equal(what + ": feats", np.load(os.path.join(path, "feats.npy")), data.feats)
    if os.path.exists(os.path.join(path, "role.npz")):  # of a very large set
        with np.load(os.path.join(path, "role.npz")) as z:
            h.equal(what + ": roles", {k: z[k].tolist() for k in z.files}, data.roles)
        h.equal(what + ": labels", np.load(os.path.join(path, "labels.npy")).tolist(), data.labels.tolist())
        return
    h.equal(what + ": roles", read_json(os.path.join(path, "role.json")), data.roles)
    h.equal(what + ": labels", read_json(os.path.join(path, "class_map.json")), data.class_map())


def converted(h, what, data, *args, weighted=False):
    """Runs saint convert into a new folder and compares that with the data set."""
    out = h.path("")
    h.saint("convert", *args, "--out", out)
    expect(h, what, out, data, weighted)
    return out
