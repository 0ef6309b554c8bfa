"""Writes testdata/layers/*.safetensors: single layers computed by PyTorch in float64.

A file holds the cases of one kind of layer: graph, input, parameters, gradient of the output,
and what follows from them, the output and all gradients. Layers are written here from their
equations in the plainest way, edge by edge and head by head on a dense adjacency.

    python testdata/make_golden_layers.py [kind ...]

The committed files were written by torch 2.15.0, numpy 2.4.6 and safetensors 0.8.0. Every case
is also computed in float32, and a draw where PyTorch does not agree with itself is passed over:
there a unit sits on the kink of a ReLU or two neighbours are equally large.
"""

import itertools
import os
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

torch.set_num_threads(1)
NODES = 20


def subgraph(rng):
    """Symmetric structure, asymmetric values, a self loop, two isolated nodes."""
    dense = rng.random((NODES, NODES)) < 0.12
    dense |= dense.T
    dense[3, 3] = True
    for lonely in (7, 19):
        dense[lonely] = dense[:, lonely] = False
    alpha = rng.uniform(0.5, 2.0, (NODES, NODES))
    return np.where(dense, alpha / np.maximum(dense.sum(1), 1)[:, None], 0.0).astype(np.float32)


def activate(act, h):
    if act == "relu":
        return torch.relu(h)
    if act == "leaky_relu":
        return torch.where(h > 0, h, 0.2 * h)
    return h


def lrelu(h):
    return torch.where(h > 0, h, 0.2 * h)


def row_norm(h, scale, offset):
    var, mean = torch.var_mean(h, dim=1, keepdim=True, correction=0)
    return (h - mean) / torch.sqrt(var + 1e-9) * scale + offset


class Case:
    """One layer: parameters are made on first use, so that the formula alone names them."""

    def __init__(self, rng, kind, width, dim, order, heads, act, aggr, bias, extra="", depth=0):
        self.depth = depth
        self.rng, self.kind, self.width, self.dim, self.order, self.heads = rng, kind, width, dim, order, heads
        self.act, self.aggr, self.bias, self.extra = act, aggr, bias, extra
        self.params = {}

    def p(self, name, rows, cols, mean=0.0, spread=0.5):
        if name not in self.params:
            v = torch.from_numpy(mean + spread * self.rng.standard_normal((rows, cols))).float()
            self.params[name] = v.double().requires_grad_()
        return self.params[name].to(self.dtype)

    def cut(self, h):
        d = h.shape[1] // self.heads
        return [h[:, k * d:(k + 1) * d] for k in range(self.heads)]

    def join(self, outs, groups):
        """Norms over `groups` ranges of columns, then concatenation or sum."""
        if self.bias == "norm":
            done = []
            for i, h in enumerate(outs):
                scale = self.p(f"hops.{i}.scale", 1, self.dim, 1, 0.1)
                offset = self.p(f"hops.{i}.offset", 1, self.dim, 0, 0.1)
                d = self.dim // groups
                done.append(torch.cat([row_norm(h[:, k:k + d], scale[:, k:k + d], offset[:, k:k + d])
                                       for k in range(0, self.dim, d)], 1))
            outs = done
        y = torch.cat(outs, 1) if self.aggr == "concat" else sum(outs)
        if self.bias == "norm-nn":
            scale = self.p("norm.scale", 1, y.shape[1], 1, 0.1)
            offset = self.p("norm.offset", 1, y.shape[1], 0, 0.1)
            var, mean = torch.var_mean(y, dim=0, keepdim=True, correction=0)
            y = (y - mean) / torch.sqrt(var + 1e-9) * scale + offset
        return y

    def hop(self, i, x):
        w, b = self.p(f"hops.{i}.weight", self.width, self.dim), self.p(f"hops.{i}.bias", 1, self.dim, 0, 0.1)
        return activate(self.act, x @ w + b)

    def attend(self, i, adj, own, f):
        a1, a2 = self.p(f"hops.{i}.attention_self", 1, self.dim), self.p(f"hops.{i}.attention_neigh", 1, self.dim)
        outs = []
        for fo, fh, a, b in zip(self.cut(own), self.cut(f), self.cut(a1), self.cut(a2)):
            weight = (lrelu(fo @ a.T) + lrelu(fh @ b.T).T) * adj
            outs.append(weight @ fh)
        return torch.cat(outs, 1)

    def gat(self, adj, x):
        f = [self.hop(i, x) for i in range(self.order + 1)]
        for i in range(1, self.order + 1):
            for s in range(i):
                f[i] = self.attend(i, adj, f[i - s - 1], f[i])
        return self.join(f, self.heads)

    def gaan(self, adj, x):
        f = [self.hop(i, x) for i in range(self.order + 1)]
        if self.order == 1:
            pool, weight = self.p("gate.pool", self.width, 64), self.p("gate.weight", 2 * self.width + 64, self.heads, 0, 0.2)
            z = x @ pool
            largest = torch.stack([z[adj[u] != 0].amax(0) if (adj[u] != 0).any() else 0 * z[0] for u in range(NODES)])
            g = torch.cat([x, largest, adj @ x], 1) @ weight
            if self.extra == "gate: sigmoid":
                g = torch.sigmoid(g)
            h = self.attend(1, adj, f[0], f[1])
            f[1] = torch.cat([v * g[:, k:k + 1] for k, v in enumerate(self.cut(h))], 1)
        return self.join(f, 1)

    def gat_tf(self, adj, x):
        f = [self.hop(0, x)]
        if self.order == 1:
            h = x @ self.p("hops.1.weight", self.width, self.dim)
            a1, a2 = self.p("hops.1.attention_self", 1, self.dim), self.p("hops.1.attention_neigh", 1, self.dim)
            b1 = self.p("hops.1.attention_self_bias", 1, self.heads, 0, 0.2)
            b2 = self.p("hops.1.attention_neigh_bias", 1, self.heads, 0, 0.2)
            outs = []
            for k, (fh, a, b) in enumerate(zip(self.cut(h), self.cut(a1), self.cut(a2))):
                weight = torch.relu(fh @ a.T + b1[:, k] + (fh @ b.T + b2[:, k]).T) * adj
                outs.append(weight @ fh)
            f.append(activate(self.act, torch.cat(outs, 1) + self.p("hops.1.bias", 1, self.dim, 0, 0.1)))
        return self.join(f, 1)

    def gat_softmax(self, adj, x):
        if self.order == 0:
            return self.join([self.hop(0, x)], 1)
        h = x @ self.p("hops.0.weight", self.width, self.dim)
        a1, a2 = self.p("hops.0.attention_self", 1, self.dim), self.p("hops.0.attention_neigh", 1, self.dim)
        times = (adj != 0).to(h) + torch.eye(NODES).to(h)  # a self loop counts beside a node's own
        outs = []
        for fh, a, b in zip(self.cut(h), self.cut(a1), self.cut(a2)):
            e = lrelu(fh @ a.T + (fh @ b.T).T)
            outs.append(torch.softmax(e + torch.log(times), 1) @ fh)
        return self.join([activate(self.act, torch.cat(outs, 1) + self.p("hops.0.bias", 1, self.dim, 0, 0.1))], 1)

    def tail(self, z, norm=""):
        """norm(act(z)) of layers that have one hop."""
        h = activate(self.act, z)
        if self.bias == "norm":
            h = row_norm(h, self.p("scale", 1, self.dim, 1, 0.1), self.p("offset", 1, self.dim, 0, 0.1))
        if self.bias == "norm-nn":
            h = self.batch_norm("norm", h, 1e-9)
        return h

    def batch_norm(self, name, h, eps):
        scale, offset = self.p(name + ".scale", 1, h.shape[1], 1, 0.1), self.p(name + ".offset", 1, h.shape[1], 0, 0.1)
        return torch.nn.functional.batch_norm(h, None, None, scale[0], offset[0], training=True, eps=eps)

    def one_hop_bias(self, name="bias"):
        return self.p(name, 1, self.dim, 0, 0.1)

    def gcn(self, adj, x):
        a = (adj != 0).to(x) + torch.eye(NODES).to(x)
        d = torch.diag(a.sum(1) ** -0.5)
        return self.tail(d @ a @ d @ x @ self.p("weight", self.width, self.dim) + self.one_hop_bias())

    def sage(self, adj, x):
        neigh, root = self.p("neigh.weight", self.width, self.dim), self.p("root.weight", self.width, self.dim)
        z = adj @ x @ neigh + x @ root + self.one_hop_bias()
        if self.extra:
            z = torch.nn.functional.normalize(z, dim=1)
        return self.tail(z)

    def gin(self, adj, x):
        eps = 0.0
        if "train_eps" in self.extra:
            eps = self.p("eps", 1, 1, 0.2, 0.1)
        elif "eps" in self.extra:
            eps = float(self.extra.split("eps: ")[1].split(",")[0])
        h = ((1 + eps) * x + (adj != 0).to(x) @ x) @ self.p("mlp.0.weight", self.width, self.dim)
        h = self.batch_norm("mlp.norm", h, 1e-5) if "mlp_norm: batch" in self.extra else h + self.one_hop_bias("mlp.0.bias")
        return self.tail(torch.relu(h) @ self.p("mlp.1.weight", self.dim, self.dim) + self.one_hop_bias("mlp.1.bias"))

    def gcnii(self, adj, x):
        keys = dict(k.split(": ") for k in self.extra.split(", ") if k)
        alpha, theta = float(keys.get("alpha", 0.1)), float(keys.get("theta", 0.5))
        beta = float(keys.get("beta", np.log(theta / (self.depth + 1) + 1)))
        a = (adj != 0).to(x) + torch.eye(NODES).to(x)
        d = torch.diag(a.sum(1) ** -0.5)
        p, first = (1 - alpha) * (d @ a @ d @ x), alpha * self.p("first", NODES, self.dim, 0, 1)
        w1 = self.p("weight", self.dim, self.dim)
        if keys.get("shared_weights") == "false":
            w2 = self.p("initial.weight", self.dim, self.dim)
            return self.tail((1 - beta) * (p + first) + beta * (p @ w1 + first @ w2))
        return self.tail((1 - beta) * (p + first) + beta * (p + first) @ w1)

    def gatv2(self, adj, x):
        mean = "heads: mean" in self.extra
        width = self.heads * self.dim if mean else self.dim
        r = x @ self.p("neigh.weight", self.width, width)
        own = r if "share_weights: true" in self.extra else x @ self.p("self.weight", self.width, width)
        times = (adj != 0).to(x) + torch.eye(NODES).to(x)
        outs = []
        for rk, lk, ak in zip(self.cut(r), self.cut(own), self.cut(self.p("attention", 1, width))):
            e = (lrelu(lk[:, None, :] + rk[None, :, :]) * ak).sum(2)
            outs.append(torch.softmax(e + torch.log(times), 1) @ rk)
        z = sum(outs) / self.heads if mean else torch.cat(outs, 1)
        return self.tail(z + self.one_hop_bias())

    def run(self, dtype, adj, x, dy):
        self.dtype = dtype
        adj, x, dy = torch.from_numpy(adj).to(dtype), torch.from_numpy(x).to(dtype).requires_grad_(), torch.from_numpy(dy).to(dtype)
        y = getattr(self, self.kind)(adj, x)
        for v in self.params.values():
            v.grad = None
        (y * dy[:, :y.shape[1]]).sum().backward()
        out = {"y": y, "dx": x.grad} | {"grad." + k: v.grad for k, v in self.params.items()}
        return {k: v.detach().numpy() for k, v in out.items()}


ONE_HOP = {
    "gcn": [""],
    "sage": ["", "normalize: true"],
    "gin": ["", "eps: 0.5", "train_eps: true", "train_eps: true, mlp_norm: batch"],
    "gcnii": ["", "shared_weights: false", "alpha: 0.5, theta: 1.5", "alpha: 0.5, beta: 1, shared_weights: false"],
}


def pair_cases(kind):
    for k in (1, 2, 8):
        yield (kind, 6, max(8, 2 * k), 1, k, "relu", "concat", "bias")
        yield (kind, 6, 4, 1, k, "I", "concat", "bias", "heads: mean")
    for act, bias in (("leaky_relu", "norm"), ("relu", "norm-nn"), ("I", "bias")):
        yield (kind, 6, 8, 1, 2, act, "concat", bias, "share_weights: true" if bias == "bias" else "")


def one_hop_cases(kind):
    for depth, extra in enumerate(ONE_HOP[kind]):
        if kind == "gcnii":
            yield (kind, 8, 8, 1, 0, "relu", "concat", "bias", extra, depth)
        elif extra:
            yield (kind, 6, 8, 1, 0, "I", "concat", "bias", extra)
            yield (kind, 6, 8, 1, 0, "leaky_relu", "concat", "norm", extra)
    for act, bias in itertools.product(("I", "relu"), ("bias", "norm", "norm-nn")):
        if bias == "norm-nn" and act == "I":
            act = "leaky_relu"  # of the identity the norm takes the bias away
        if kind != "gcnii":
            yield (kind, 6, 8, 1, 0, act, "concat", bias)
        elif not (act == "I" and bias == "bias"):
            yield (kind, 8, 8, 1, 0, act, "concat", bias)
    if kind == "sage":
        yield (kind, 12, 8, 1, 0, "relu", "concat", "bias")
        yield (kind, 12, 8, 1, 0, "I", "concat", "bias", "normalize: true")


def cases(kind):
    if kind == "gatv2" or kind in ONE_HOP:
        yield from (pair_cases if kind == "gatv2" else one_hop_cases)(kind)
        return
    heads = (1, 2, 8)
    orders = (0, 1, 2) if kind == "gat" else (0, 1)
    for order, k in itertools.product(orders, heads):
        yield (kind, 6, max(8, 4 * k), order, k, "relu", "concat", "norm")
    for act, aggr, bias in (("leaky_relu", "mean", "norm"), ("I", "concat", "bias"), ("leaky_relu", "concat", "norm-nn"),
                            ("relu", "mean", "norm-nn"), ("relu", "mean", "bias")):
        yield (kind, 6, 16, 1, 4, act, aggr, bias)
    if kind == "gat":
        yield (kind, 6, 32, 1, 2, "relu", "concat", "norm")
        yield (kind, 6, 12, 2, 2, "leaky_relu", "mean", "norm-nn")
    if kind == "gaan":
        yield (kind, 6, 32, 1, 8, "relu", "concat", "norm", "gate: sigmoid")


def make(kind):
    tensors, names = {}, []
    for number, spec in enumerate(cases(kind)):
        for seed in itertools.count(1000 * number):
            rng = np.random.default_rng(seed)
            case = Case(rng, *spec)
            adj = subgraph(rng)
            x = rng.standard_normal((NODES, case.width)).astype(np.float32)
            dy = rng.standard_normal((NODES, case.dim * (case.order + 1))).astype(np.float32)
            exact, rough = case.run(torch.float64, adj, x, dy), case.run(torch.float32, adj, x, dy)
            gap = max(np.abs(rough[k] - v).max() / max(np.abs(v).max(), 1e-9) for k, v in exact.items())
            if gap < 1e-5:
                break
            if seed - 1000 * number > 200:
                sys.exit(f"{kind}: no draw of {spec} on which PyTorch agrees with itself: {gap:.1e}")
        name = f"order {case.order}, {case.act}, {case.aggr}, {case.bias}"
        if case.heads:
            name = f"order {case.order}, {case.heads} heads of {case.dim // case.heads}, {case.act}, {case.aggr}, {case.bias}"
        if case.extra:
            name += ", " + case.extra
        print(f"{kind}: {name}: seed {seed}, float32 gap {gap:.1e}")
        rows, cols = adj.nonzero()
        out = {
            "indptr": np.searchsorted(rows, np.arange(NODES + 1)).astype(np.int32), "indices": cols.astype(np.int32),
            "values": adj[rows, cols], "x": x, "dy": dy[:, :exact["y"].shape[1]],
        } | exact | {"param." + k: v.detach().numpy() for k, v in case.params.items()}
        for k, v in out.items():
            if v.dtype == np.float64:
                v = v.astype(np.float32)
            tensors[f"{number}.{k}"] = np.ascontiguousarray(v)
        names.append("|".join(map(str, (name, case.dim, case.order, case.heads, case.act, case.aggr, case.bias, case.extra, case.depth))))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers", kind + ".safetensors")
    save_file(tensors, path, metadata={"cases": "\n".join(names)})


for kind in sys.argv[1:] or ("gat", "gaan", "gat_tf", "gat_softmax", "gatv2", *ONE_HOP):
    make(kind)
