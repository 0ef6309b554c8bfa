"""Writes the reference archives of the npz tests. Needs NumPy and SciPy; run it here."""

import zipfile

import numpy as np
import scipy.sparse as sp

dense = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 1, 1, 0]])
for dtype in ["bool", "int64", "float32", "float64"]:
    m = sp.csr_matrix(dense.astype(dtype))
    sp.save_npz(f"csr_{dtype}.npz", m, compressed=dtype != "bool")
for fmt in ["csc", "coo", "bsr", "dia"]:
    sp.save_npz(f"{fmt}.npz", sp.csr_matrix(dense).asformat(fmt))
sp.save_npz("csr_array.npz", sp.csr_array(dense))

m = sp.csr_matrix(dense.astype("float32"))
np.savez(
    "csr_int64_unicode.npz",
    format=np.array("csr"),
    shape=np.array(m.shape, dtype=np.int32),
    data=m.data,
    indices=m.indices.astype(np.int64),
    indptr=m.indptr.astype(">i8"),
)
np.savez_compressed("roles.npz", tr=np.arange(5), va=np.array([5, 6]), te=np.array([7], dtype=np.uint8))

# Real 64-bit records, which zipfile otherwise writes beyond 4 GiB only.
zipfile.ZIP64_LIMIT = 16
sp.save_npz("zip64.npz", sp.csr_matrix(dense.astype("float32")), compressed=False)
