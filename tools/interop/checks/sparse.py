"""Sparse matrices: what scipy.sparse.save_npz writes and load_npz reads."""

import numpy as np
import scipy.sparse as sp

from .harness import INTEGERS, pack, tame, unpack

TYPES = ["bool", *INTEGERS, "float32", "float64"]


def matrix(rows, cols, dtype, index, rng, kind=sp.csr_matrix):
    m = sp.random(rows, cols, 0.1, random_state=rng, format="csr")
    m = kind((tame(dtype, m.nnz, rng), m.indices.astype(index), m.indptr.astype(index)), shape=(rows, cols))
    m.indices, m.indptr = m.indices.astype(index), m.indptr.astype(index)
    return m


def read_matrix(h, m, compressed, what):
    path = h.path(".npz")
    sp.save_npz(path, m, compressed=compressed)
    got = h.go("csr.read", path=path)
    h.equal(what + ": shape", got["shape"], list(m.shape))
    h.equal(what + ": type", got["type"], m.dtype.name)
    h.equal(what + ": indptr", unpack(got["indptr"]), m.indptr.astype("int64"))
    h.equal(what + ": indices", unpack(got["indices"]), m.indices.astype("int32"))
    h.equal(what + ": data", unpack(got["data"]), m.data.astype("float32"))


def read_theirs(h, rng):
    for dtype in TYPES:
        for index in ("int32", "int64"):
            for compressed in (False, True):
                for kind in (sp.csr_matrix, sp.csr_array):
                    for rows, cols in ((40, 40), (7, 90), (0, 0), (5, 0), (1, 1)):
                        m = matrix(rows, cols, dtype, index, rng, kind)
                        read_matrix(h, m, compressed, f"{kind.__name__} {rows}x{cols} {dtype} {index} compressed {compressed}")
    m = matrix(30, 30, "float32", "int32", rng)
    for row in range(30):  # columns in descending order, some twice
        part = slice(m.indptr[row], m.indptr[row + 1])
        m.indices[part] = m.indices[part][::-1]
    m.has_sorted_indices = False
    read_matrix(h, m, True, "unsorted")
    m.indices[:] = 3
    read_matrix(h, m, True, "duplicates")
    m = matrix(30, 30, "float32", "int32", rng)
    m.data[:] = 0
    read_matrix(h, m, True, "stored zeros")


def refuse(h, rng):
    m = matrix(40, 40, "float32", "int32", rng)
    for name in ("csc", "coo", "bsr", "dia"):
        for compressed in (False, True):
            path = h.path(".npz")
            sp.save_npz(path, m.asformat(name), compressed=compressed)
            h.refused(f"{name} compressed {compressed}", lambda: h.go("csr.read", path=path), path, name, "tocsr")
    path = h.path(".npz")
    sp.save_npz(path, m.astype("complex64"))
    h.refused("complex values", lambda: h.go("csr.read", path=path), path)
    sound = {"format": b"csr", "shape": m.shape, "indptr": m.indptr, "indices": m.indices, "data": m.data}
    wrong = {
        "indptr that decreases": {"indptr": m.indptr[::-1]},
        "indptr too short": {"indptr": m.indptr[:-1]},
        "indptr that begins later": {"indptr": np.maximum(m.indptr, 1)},
        "a column too large": {"indices": np.where(np.arange(m.nnz) == 5, 40, m.indices)},
        "a negative column": {"indices": np.where(np.arange(m.nnz) == 5, -1, m.indices)},
        "a column beyond int32": {"indices": np.where(np.arange(m.nnz) == 5, 2**32, m.indices.astype("int64"))},
        "columns that are not whole": {"indices": m.indices.astype("float64")},
        "data too short": {"data": m.data[:-1]},
        "shape of three numbers": {"shape": (40, 40, 1)},
        "another format": {"format": b"xyz"},
        "no data": {"data": None},
    }
    for what, change in wrong.items():
        path = h.path(".npz")
        np.savez(path, **{k: v for k, v in {**sound, **change}.items() if v is not None})
        h.refused(what, lambda: h.go("csr.read", path=path), path)


def write_ours(h, rng):
    for dtype in TYPES:
        for compressed in (False, True):
            for rows, cols in ((40, 40), (7, 90), (0, 0), (5, 0)):
                m = matrix(rows, cols, dtype, "int32", rng)
                path = h.path(".npz")
                h.go(
                    "csr.write", path=path, shape=m.shape, compress=compressed, indptr=pack(m.indptr.astype("int64")),
                    indices=pack(m.indices), data=pack(m.data),
                )
                got, what = sp.load_npz(path), f"written {rows}x{cols} {dtype} compressed {compressed}"
                h.true(what + ": kind", isinstance(got, sp.csr_matrix), str(type(got)))
                h.equal(what + ": shape", tuple(got.shape), (rows, cols))
                for part in ("indptr", "indices", "data"):
                    h.equal(f"{what}: {part}", getattr(got, part), getattr(m, part))


def run(h):
    rng = np.random.default_rng(3)
    read_theirs(h, rng)
    refuse(h, rng)
    write_ours(h, rng)
