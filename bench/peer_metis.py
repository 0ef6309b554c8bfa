"""Edges cut and seconds taken by saint's partitioner and by METIS, its k-way method as PyG calls
it, on the graphs of data folders: `adj_full.npz`, or an OGB folder with `raw/edge.csv.gz`.
Graphs are made symmetric and lose their loops first.

    pip install numpy scipy pymetis
    python bench/peer_metis.py data/ppi data/flickr --parts 10,100,1000 --seeds 3

The line of a graph has the means over seeds. METIS uses one thread, saint as many as --threads.
"""
import argparse
import gzip
import os
import re
import statistics
import subprocess
import tempfile
import time
import warnings

import numpy as np
import pymetis
import scipy.sparse as sp

HERE = os.path.dirname(os.path.abspath(__file__))


def load(folder):
    csv = os.path.join(folder, "raw", "edge.csv.gz")
    if os.path.exists(csv):
        ends = np.loadtxt(gzip.open(csv), delimiter=",", dtype=np.int64)
        with gzip.open(os.path.join(folder, "raw", "num-node-list.csv.gz"), "rt") as f:
            n = int(f.read())
        a = sp.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n)).tocsr()
    else:
        z = np.load(os.path.join(folder, "adj_full.npz"))
        a = sp.csr_matrix((np.ones(len(z["indices"])), z["indices"], z["indptr"]), shape=z["shape"])
    a = (a + a.T).tocsr()
    a.setdiag(0)
    a.eliminate_zeros()
    a.sort_indices()
    return a.indptr.astype(np.int32), a.indices.astype(np.int32)


def metis(indptr, indices, parts, seed):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut, part = pymetis.part_graph(parts, xadj=indptr, adjncy=indices, recursive=False, options=pymetis.Options(seed=seed))
    seconds = time.perf_counter() - begin
    return cut, seconds, np.bincount(part, minlength=parts).max() * parts / len(part)


def saint(binary, graphs, parts, seed, threads):
    env = dict(os.environ, SAINT_PARTITION_GRAPHS=graphs, SAINT_PARTITION_PARTS=parts, SAINT_PARTITION_SEED=str(seed), GOMAXPROCS=str(threads))
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", "KWay", "-test.benchtime", "1x"], env=env, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        m = re.match(r"BenchmarkKWay/(.+)/(\d+?)(-\d+)?\s+1\s+(.*)", line)
        if m:
            values = {unit: float(value) for value, unit in re.findall(r"([\d.e+]+) (\S+)", m.group(4))}
            found[m.group(1), int(m.group(2))] = values["cut"], values["ns/op"] / 1e9, values["balance"]
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", nargs="+")
    p.add_argument("--parts", default="10,100,1000")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        binary = os.path.join(tmp, "partition.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./internal/partition"], cwd=os.path.dirname(HERE), check=True)
        graphs = {}
        for folder in o.folders:
            name = os.path.basename(os.path.normpath(folder))
            graphs[name] = load(folder)
            graphs[name][0].astype("<i8").tofile(os.path.join(tmp, name + ".indptr"))
            graphs[name][1].astype("<i4").tofile(os.path.join(tmp, name + ".indices"))
        ours = [saint(binary, tmp, o.parts, seed, o.threads) for seed in range(1, o.seeds + 1)]
        print("| graph | nodes | edges | parts | METIS' cut | ours | ratio | METIS' seconds | ours | heaviest part |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, (indptr, indices) in graphs.items():
            for parts in map(int, o.parts.split(",")):
                if parts > len(indptr) - 1:
                    continue
                mean = lambda runs, i: statistics.mean(run[i] for run in runs)  # noqa: E731
                theirs = [metis(indptr, indices, parts, seed) for seed in range(1, o.seeds + 1)]
                mine = [run[name, parts] for run in ours]
                print(f"| {name} | {len(indptr) - 1:,} | {len(indices) // 2:,} | {parts} | {mean(theirs, 0):,.0f} | {mean(mine, 0):,.0f} | "
                      f"{mean(mine, 0) / mean(theirs, 0):.3f} | {mean(theirs, 1):.2f} | {mean(mine, 1):.2f} | {max(run[2] for run in mine):.3f} |", flush=True)


if __name__ == "__main__":
    main()
