"""A real graph, PPI, through the formats and back: only where SAINT_TEST_DATA names the folder."""

import os

import numpy as np
import scipy.sparse as sp

from . import converters, graphsage, tables
from .dataset import Dataset, csr, read_json


def run(h):
    path = os.path.join(os.environ.get("SAINT_TEST_DATA", ""), "ppi")
    if not os.path.isdir(path):
        print("interop: ppi: skipped, SAINT_TEST_DATA names no folder that has it")
        return
    full, train = (csr(sp.load_npz(os.path.join(path, name + ".npz"))) for name in ("adj_full", "adj_train"))
    labels = read_json(os.path.join(path, "class_map.json"))
    labels = np.array([labels[str(v)] for v in range(full.shape[0])], "uint8")
    roles = {k: sorted(v) for k, v in read_json(os.path.join(path, "role.json")).items()}
    data = Dataset(full, train, np.load(os.path.join(path, "feats.npy")).astype("float32"), labels, roles)
    graphsage.write_ours(h, data, "GraphSAGE", False)
    tables.write_ours(h, data, "Parquet", ".parquet", False)
    converters.write_cpp(h, data, "C++")
