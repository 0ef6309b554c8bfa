"""Subgraphs a second of other samplers on what `saint bench export` wrote: PyG's, DGL's, and a
vectorised one of NumPy and SciPy in the manner of GraphSAINT's published code, all with as
many worker processes as there are cores. A library that is not installed is said to be missing.

A subgraph counts when it is drawn, induced, with edge ids and normalised values; PyG's and
DGL's stop at what they give (DGL's has no normalised values).
"""
import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time

for name in list(os.environ):
    if name.startswith(("OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_")):
        del os.environ[name]
# One thread in each worker: there is a worker for every core.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import scipy.sparse as sp  # noqa: E402

# The budgets of the paper's configurations.
BUDGETS = {
    "tiny": {"rw": (150, 2)},
    "flickr-like": {"rw": (6000, 2), "edge": 6000, "node": 8000},
    "ppi-like": {"rw": (3000, 2), "edge": 4000, "node": 6000},
    "reddit-like": {"rw": (2000, 4), "edge": 6000, "node": 8000},
}


class Graph:
    def __init__(self, path):
        array = lambda name: np.load(os.path.join(path, name + ".npy"))  # noqa: E731
        self.data = json.load(open(os.path.join(path, "expect.json")))["data"]
        self.indptr, self.indices = array("train_indptr"), array("train_indices")
        self.train = array("train_nodes")
        self.prepare()

    def prepare(self):
        self.degree = np.diff(self.indptr)
        self.n, self.m = len(self.degree), len(self.indices)
        self.alpha = np.ones(self.m, np.float32)
        self.weight = np.ones(self.n, np.float32)


    def training(self):
        """The graph of the training nodes alone: PyG and DGL draw roots from all nodes."""
        g = object.__new__(Graph)
        g.data, g.train = self.data, np.arange(len(self.train))
        local = np.full(self.n, -1, self.indices.dtype)
        local[self.train] = g.train
        g.indptr = np.concatenate([[0], np.cumsum(self.degree[self.train])])
        g.indices = local[self.indices]  # rows of other nodes are empty
        g.prepare()
        return g


class Vectorised:
    """NumPy draws, SciPy slices; edge ids ride along as the values of the matrix."""

    def __init__(self, g, kind, budget):
        self.g, self.kind, self.budget = g, kind, budget
        self.a = sp.csr_matrix((np.arange(g.m, dtype=np.int64), g.indices, g.indptr), (g.n, g.n))
        self.local = np.full(g.n, -1, np.int32)
        if kind == "edge":
            rows = np.repeat(np.arange(g.n), g.degree)
            p = 1 / g.degree[rows] + 1 / np.maximum(g.degree[g.indices], 1)
            upper = np.flatnonzero(rows < g.indices)
            self.rows, self.upper, self.cum = rows, upper, np.cumsum(p[upper])

    def nodes(self, rng):
        g = self.g
        if self.kind == "node":  # the row of a uniform edge: proportional to the degree
            return np.searchsorted(g.indptr, rng.integers(g.m, size=self.budget), side="right") - 1
        if self.kind == "edge":
            e = self.upper[np.searchsorted(self.cum, rng.random(self.budget) * self.cum[-1])]
            return np.concatenate([self.rows[e], g.indices[e]])
        roots, depth = self.budget
        at = g.train[rng.integers(len(g.train), size=roots)]
        walk = [at]
        for _ in range(depth):
            d = g.degree[at]
            step = g.indptr[at] + (rng.random(roots) * d).astype(np.int64)
            at = np.where(d > 0, g.indices[np.minimum(step, g.m - 1)], at)
            walk.append(at)
        return np.concatenate(walk)

    def scipy(self, rng):
        nodes = np.unique(self.nodes(rng))
        sub = self.a[nodes][:, nodes]
        return self.finish(nodes, sub.indptr, sub.data)

    def lookup(self, rng):
        """The same by a table of local ids instead of slices."""
        g = self.g
        nodes = np.unique(self.nodes(rng))
        degree = g.degree[nodes]
        ends = np.cumsum(degree)
        ids = np.arange(ends[-1]) + np.repeat(g.indptr[nodes] - (ends - degree), degree)
        self.local[nodes] = np.arange(len(nodes), dtype=np.int32)
        col = self.local[g.indices[ids]]
        keep = np.flatnonzero(col >= 0)
        self.local[nodes] = -1
        counts = np.bincount(np.searchsorted(ends, keep, side="right"), minlength=len(nodes))
        return self.finish(nodes, np.concatenate([[0], np.cumsum(counts)]), ids[keep])

    def finish(self, nodes, indptr, ids):
        g = self.g
        values = g.alpha[ids] / np.repeat(np.maximum(g.degree[nodes], 1), np.diff(indptr)).astype(np.float32)
        return len(nodes), len(values), g.weight[nodes]


def worker(sampler, how, seed, seconds, ready, out):
    rng = np.random.default_rng(seed)
    draw = getattr(sampler, how)
    draw(rng)
    ready.wait()
    begin, count, nodes, edges = time.perf_counter(), 0, 0, 0
    while time.perf_counter() - begin < seconds:
        n, m, _ = draw(rng)
        count, nodes, edges = count + 1, nodes + n, edges + m
    out.put((count / (time.perf_counter() - begin), nodes / count, edges / count))


def vectorised(args, g, kind, budget):
    sampler = Vectorised(g, kind, budget)
    fork = multiprocessing.get_context("fork")
    best = None
    for how in ("scipy", "lookup"):
        rates = []
        for repeat in range(args.repeats):
            ready, out = fork.Barrier(args.workers), fork.Queue()
            jobs = [fork.Process(target=worker, args=(sampler, how, 100 * repeat + i, args.seconds, ready, out)) for i in range(args.workers)]
            for j in jobs:
                j.start()
            got = [out.get() for _ in jobs]
            for j in jobs:
                j.join()
            rates.append(sum(r for r, _, _ in got))
        rate = statistics.median(rates)
        if best is None or rate > best[0]:
            best = (rate, how, rates, got[0][1], got[0][2])
    rate, how, rates, nodes, edges = best
    return dict(library="numpy+scipy (%s)" % how, value=rate, low=min(rates), high=max(rates), nodes=int(nodes), edges=int(edges))


def timed(args, make):
    """Batches a second of an iterator, the best number of workers of two."""
    best = None
    for workers in (args.workers, 0):
        it = iter(make(workers))
        first = next(it)
        for _ in range(max(3, 3 * workers)):
            next(it)
        rates = []
        for _ in range(args.repeats):
            begin, count = time.perf_counter(), 0
            while time.perf_counter() - begin < args.seconds:
                next(it)
                count += 1
            rates.append(count / (time.perf_counter() - begin))
        del it
        rate = statistics.median(rates)
        if best is None or rate > best[0]:
            best = (rate, rates, workers, first)
    rate, rates, workers, first = best
    return dict(value=rate, low=min(rates), high=max(rates), workers=workers), first


def forked(workers):
    """Workers that begin as copies, without importing everything anew."""
    return dict(num_workers=workers, multiprocessing_context="fork") if workers else dict(num_workers=0)


def pyg(args, g, kind, budget):
    if kind != "rw":
        # Its node and edge samplers pass the budget twice: budget x budget draws a batch (and for edges a
        # matrix of budget x |E| random numbers), so that a batch is nearly the whole graph.
        raise OSError("PyG's %s sampler draws budget x budget %ss: not the same law, and out of memory" % (kind, kind))
    import torch
    # File descriptors, the default, are handed over by a thread that a forked worker may miss.
    torch.multiprocessing.set_sharing_strategy("file_system")
    import torch_geometric
    import torch_sparse
    from torch_geometric.data import Data
    from torch_geometric.loader import GraphSAINTRandomWalkSampler

    g = g.training()
    rows = torch.from_numpy(np.repeat(np.arange(g.n), g.degree))
    data = Data(edge_index=torch.stack([rows, torch.from_numpy(g.indices.astype(np.int64))]), num_nodes=g.n)

    # Without coverage: PyG would pass num_steps batches through before the first. Its batches are
    # then drawn and induced, but not scaled, which favours it.
    def make(workers):
        return GraphSAINTRandomWalkSampler(data, batch_size=budget[0], walk_length=budget[1], num_steps=1 << 20,
                                           sample_coverage=0, log=False, **forked(workers))

    line, first = timed(args, make)
    return dict(library="PyG %s, torch_sparse %s" % (torch_geometric.__version__, torch_sparse.__version__),
                nodes=first.num_nodes, edges=first.num_edges, **line)


def dgl(args, g, kind, budget):
    import dgl
    import torch
    from dgl.dataloading import DataLoader, SAINTSampler

    g = g.training()
    graph = dgl.graph(("csr", (torch.from_numpy(g.indptr), torch.from_numpy(g.indices.astype(np.int64)), torch.empty(0, dtype=torch.int64))))
    mode = {"rw": "walk", "edge": "edge", "node": "node"}[kind]

    def make(workers):
        return DataLoader(graph, torch.arange(1 << 20), SAINTSampler(mode=mode, budget=budget), **forked(workers))

    line, first = timed(args, make)
    return dict(library="DGL %s" % dgl.__version__, nodes=first.num_nodes(), edges=first.num_edges(), **line)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("export", help="folder that saint bench export wrote")
    p.add_argument("--library", default="vectorised,pyg,dgl")
    p.add_argument("--kind", default="rw,edge,node")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--seconds", type=float, default=1.0, help="length of a repeat")
    p.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    g = Graph(args.export)
    for library in args.library.split(","):
        for kind in [k for k in args.kind.split(",") if k in BUDGETS[g.data]]:
            line = dict(type="peer", name="sample/%s %s" % (g.data, kind), unit="subgraphs/s", workers=args.workers)
            try:
                line.update({"vectorised": vectorised, "pyg": pyg, "dgl": dgl}[library](args, g, kind, BUDGETS[g.data][kind]))
            except (ImportError, OSError) as e:
                line = dict(type="missing", library=library, error=str(e).split("\n")[0][:300])
            print(json.dumps(line) if args.json else "  ".join("%s %s" % kv for kv in line.items()), flush=True)
            if line["type"] == "missing":
                break
    sys.stdout.flush()


if __name__ == "__main__":
    main()
