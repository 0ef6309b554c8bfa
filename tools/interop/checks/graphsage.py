"""GraphSAGE's files: G.json by NetworkX, in all forms that it has written over the years."""

import os
import random

import networkx as nx
import numpy as np

from .dataset import converted, csr, expect, make, read_json, write_folder, write_json


def graph_of(data, kind):
    """The data set as a NetworkX graph with GraphSAGE's flags."""
    g = nx.from_scipy_sparse_array(data.full, create_using=kind)
    for v, role in enumerate(data.role_of()):
        if role:
            g.nodes[v].update(val=role == "va", test=role == "te")
    for u, v, d in g.edges(data=True):
        d["weight"] = float(d["weight"])
    return g


def write_set(path, data, graph, rows):
    """Writes the four files; rows maps node ids to rows."""
    os.mkdir(path)
    write_json(os.path.join(path, "x-G.json"), graph)
    write_json(os.path.join(path, "x-id_map.json"), {str(k): v for k, v in rows.items()})
    labels = data.class_map()
    write_json(os.path.join(path, "x-class_map.json"), {str(k): labels[str(v)] for k, v in rows.items() if str(v) in labels})
    np.save(os.path.join(path, "x-feats.npy"), data.feats)
    return path


def positions(graph):
    """The form of networkx 1: ends are positions in the list of nodes."""
    at = {node["id"]: i for i, node in enumerate(graph["nodes"])}
    links = [{**e, "source": at[e["source"]], "target": at[e["target"]]} for e in graph["links"]]
    return {**graph, "links": links}


def read_theirs(h, data, what, weighted):
    kind = nx.Graph if data.symmetric else nx.DiGraph
    g, rows = graph_of(data, kind), {v: v for v in range(data.n)}
    many = nx.MultiGraph(g) if data.symmetric else nx.MultiDiGraph(g)
    for key in ("links", "edges"):
        for name, graph in (("simple", g), ("multigraph", many)):
            path = write_set(h.path(), data, nx.node_link_data(graph, edges=key), rows)
            converted(h, f"{what}: {name}, {key}", data, "graphsage", "--in", path, weighted=weighted)
    # Ids are text and nodes come in any order.
    order = list(range(data.n))
    random.Random(7).shuffle(order)
    names = {v: f"node {v} ä\"\\" for v in order}
    text = nx.relabel_nodes(g.__class__(g), names)
    shuffled = g.__class__()
    shuffled.add_nodes_from((names[v], text.nodes[names[v]]) for v in order)
    shuffled.add_edges_from(text.edges(data=True))
    rows = {name: v for v, name in names.items()}
    graph = nx.node_link_data(shuffled, edges="links")
    path = write_set(h.path(), data, graph, rows)
    converted(h, what + ": text", data, "graphsage", "--in", os.path.join(path, "x"), weighted=weighted)
    path = write_set(h.path(), data, positions(graph), rows)
    converted(h, what + ": positions", data, "graphsage", "--in", path, weighted=weighted)


def write_ours(h, data, what, weighted):
    out = h.path()
    keep = ["--edge_weight"] if weighted else []
    h.saint("convert", "to-graphsage", "--in", write_folder(h.path(), data), "--out", out, "--name", "x", *keep)
    graph = read_json(os.path.join(out, "x-G.json"))
    g = nx.node_link_graph(graph, edges="links")
    h.equal(what + ": directed", g.is_directed(), not data.symmetric)
    h.equal(what + ": multigraph", g.is_multigraph(), False)
    m = csr(nx.to_scipy_sparse_array(g, nodelist=range(data.n), weight="weight", format="csr", dtype="float32"))
    h.equal(what + ": indptr", m.indptr, data.full.indptr)
    h.equal(what + ": indices", m.indices, data.full.indices)
    h.equal(what + ": weights", m.data, data.full.data if weighted else np.ones(data.full.nnz, "float32"))
    flags = {"tr": (False, False), "va": (True, False), "te": (False, True), None: (None, None)}
    got = [(g.nodes[v].get("val"), g.nodes[v].get("test")) for v in range(data.n)]
    h.equal(what + ": flags", got, [flags[role] for role in data.role_of()])
    h.equal(what + ": id_map", read_json(os.path.join(out, "x-id_map.json")), {str(v): v for v in range(data.n)})
    h.equal(what + ": class_map", read_json(os.path.join(out, "x-class_map.json")), data.class_map())
    h.equal(what + ": feats", np.load(os.path.join(out, "x-feats.npy")), data.feats)
    back = h.path()
    h.saint("convert", "graphsage", "--in", out, "--out", back)
    expect(h, what + ": back", back, data, weighted)
    # Written by NetworkX after reading: the same again.
    path = write_set(h.path(), data, nx.node_link_data(g, edges="links"), {v: v for v in range(data.n)})
    converted(h, what + ": through NetworkX", data, "graphsage", "--in", path, weighted=weighted)


def refuse(h, data):
    g, rows = graph_of(data, nx.Graph), {v: v for v in range(data.n)}
    graph = nx.node_link_data(g, edges="links")
    wrong = {
        "NaN as a weight": {"links": [{"source": 0, "target": 1, "weight": float("nan")}]},
        "a link to nowhere": {"links": [{"source": 0, "target": 1000}]},
        "no links": {"links": None},
        "val as text": {"nodes": [{**n, "val": "yes"} for n in graph["nodes"]]},
        "an id twice": {"nodes": [*graph["nodes"], graph["nodes"][0]]},
    }
    for what, change in wrong.items():
        path = write_set(h.path(), data, {**graph, **change}, rows)
        h.refused(what, lambda: h.saint("convert", "graphsage", "--in", path, "--out", h.path()), "x-G.json")


def run(h):
    rng = np.random.default_rng(8)
    for multi in (False, True):
        for symmetric in (False, True):
            for weighted in (False, True):
                data = make(rng, multi=multi, symmetric=symmetric, weighted=weighted)
                what = f"multi {multi}, symmetric {symmetric}, weighted {weighted}"
                read_theirs(h, data, what, weighted)
                write_ours(h, data, what, weighted)
    refuse(h, make(rng))
