"""Writes testdata/model/*.safetensors: GraphSAINT models computed by PyTorch in float64.

Every file is one training run on one small subgraph: initial parameters, batch, logits,
loss, gradients before clipping, their global norm, the losses and the parameters of ten
Adam steps, and the logits of the trained model in evaluation mode. The model is written
here from its equations, in the plainest way (dense adjacency, A before W), so that it
shares nothing with the code it checks.

    python testdata/make_golden.py [name ...]

The committed files were written by torch 2.15.0, numpy 2.4.6 and safetensors 0.8.0. Tensors
are rounded to float32 after the computation. Every run is also done in float32, and a draw
where PyTorch does not agree with itself is passed over: there a unit sits on the kink of a
ReLU, or a row of near-zeros is scaled to unit length, and no float32 program can follow.
"""

import copy
import itertools
import os
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

NODES, FEATURES, CLASSES, STEPS = 40, 10, 5, 10
LR, CLIP = 0.01, 5.0

# name: arch, aggr, bias, act, loss, dim, weight decay, factor on the loss weights, integer labels
CASES = {
    "sage_concat_norm_softmax_relu": ("1-0-1-0", "concat", "norm", "relu", "softmax", 6, 0, 1, True),
    "sage_concat_norm_sigmoid_relu": ("1-0-1-0", "concat", "norm", "relu", "sigmoid", 6, 0, 1, False),
    "sage_mean_norm_softmax_leaky": ("1-0-1-0", "mean", "norm", "leaky_relu", "softmax", 12, 1e-3, 1, True),
    "sage_concat_batch_softmax_relu": ("1-0-1-0", "concat", "norm-nn", "relu", "softmax", 6, 0, 1, True),
    "sage_mean_batch_sigmoid_leaky": ("1-0-1-0", "mean", "norm-nn", "leaky_relu", "sigmoid", 12, 0, 1, False),
    "sage_mean_bias_sigmoid_linear": ("1-0-1-0", "mean", "bias", "I", "sigmoid", 6, 0, 1, True),
    "sage_concat_bias_softmax_clipped": ("1-0-1-0", "concat", "bias", "relu", "softmax", 6, 0, 100, True),
    "mixhop_concat_norm_softmax_relu": ("2-1-0", "concat", "norm", "relu", "softmax", 6, 0, 1, True),
    "mixhop_mean_norm_sigmoid_leaky": ("2-1-0", "mean", "norm", "leaky_relu", "sigmoid", 6, 0, 1, False),
    "mixhop_concat_batch_sigmoid_relu": ("2-1-0", "concat", "norm-nn", "relu", "sigmoid", 12, 1e-3, 1, True),
    "mixhop_mean_batch_softmax_relu": ("2-1-0", "mean", "norm-nn", "relu", "softmax", 6, 0, 1, True),
    "mixhop_mean_bias_softmax_linear": ("2-1-0", "mean", "bias", "I", "softmax", 12, 0, 100, True),
}

# Models of other layers, and with jumping knowledge: as above, then what ModelSpec calls further
# options. jumps are the layers that jumping knowledge reads.
OTHERS = {
    "jk_concat": ("1-0-1-0", "concat", "norm", "relu", "softmax", 6, 0, 1, True, {"jk": "concat", "jumps": (1, 3)}),
    "jk_max_pool": ("1-0-1-0", "concat", "bias", "leaky_relu", "sigmoid", 8, 0, 1, False, {"jk": "max_pool", "jumps": (1, 3)}),
    "jk_concat_order_1": ("1-1-0", "mean", "norm", "relu", "softmax", 8, 0, 1, True, {"jk": "concat", "jumps": (0, 1)}),
    "gcnii_batch": ("0-1-1", "concat", "bias", "relu", "softmax", 8, 0, 1, True,
                    {"layer": "gcnii", "norm": "batch", "residual": "identity", "head": "linear", "keys": "shared_weights: false, alpha: 0.2"}),
    "gcn_residual": ("1-1-1", "concat", "bias", "leaky_relu", "sigmoid", 8, 0, 1, False,
                     {"layer": "gcn", "residual": "project", "head": "none"}),
    "sage_residual": ("1-1", "concat", "bias", "relu", "softmax", 10, 1e-3, 1, True, {"layer": "sage", "residual": "identity"}),
}


def subgraph(rng):
    """A subgraph with symmetric structure and asymmetric values alpha/deg: hubs, self loops,
    isolated nodes."""
    dense = np.zeros((NODES, NODES), bool)
    weight = 1.0 / np.arange(1, NODES + 1)
    ends = rng.choice(NODES, size=(90, 2), p=weight / weight.sum())
    dense[ends[:, 0], ends[:, 1]] = True
    dense |= dense.T
    dense[[3, 17], [3, 17]] = True
    for lonely in (11, 30, 39):
        dense[lonely] = dense[:, lonely] = False
    deg = dense.sum(1) + rng.integers(0, 4, NODES)  # degrees in the whole graph are larger
    alpha = rng.uniform(0.5, 3.0, (NODES, NODES))
    return np.where(dense, alpha / np.maximum(deg, 1)[:, None], 0.0)


class Layer(torch.nn.Module):
    """One layer of order k on its input x: hops A^i x, each with its own dense part."""

    def __init__(self, width, dim, order, act, aggr, bias):
        super().__init__()
        self.act, self.aggr, self.bias = act, aggr, bias
        self.hops = torch.nn.ModuleList()
        for _ in range(order + 1):
            hop = torch.nn.Module()
            hop.weight = torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(width, dim)))
            hop.bias = torch.nn.Parameter(torch.randn(1, dim) * 0.1)
            if bias == "norm":
                hop.scale = torch.nn.Parameter(1 + torch.randn(1, dim) * 0.1)
                hop.offset = torch.nn.Parameter(torch.randn(1, dim) * 0.1)
            self.hops.append(hop)
        self.width = dim * (order + 1) if aggr == "concat" else dim
        if bias == "norm-nn":
            self.norm = torch.nn.BatchNorm1d(self.width, eps=1e-9, momentum=0.1)
            torch.nn.init.normal_(self.norm.weight, 1, 0.1)
            torch.nn.init.normal_(self.norm.bias, 0, 0.1)

    def forward(self, adj, x):
        out = []
        for hop in self.hops:
            h = x @ hop.weight + hop.bias
            if self.act == "relu":
                h = torch.relu(h)
            elif self.act == "leaky_relu":
                h = torch.where(h > 0, h, 0.2 * h)
            if self.bias == "norm":
                var, mean = torch.var_mean(h, dim=1, keepdim=True, correction=0)
                h = (h - mean) / torch.sqrt(var + 1e-9) * hop.scale + hop.offset
            out.append(h)
            x = adj @ x
        y = torch.cat(out, 1) if self.aggr == "concat" else sum(out)
        return self.norm(y) if self.bias == "norm-nn" else y


def act_of(kind, h):
    return torch.relu(h) if kind == "relu" else torch.where(h > 0, h, 0.2 * h)


def matrix(rows, cols):
    return torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(rows, cols)))


class Conv(torch.nn.Module):
    """A layer of one hop without activation: GCN, SAGE with means, or GCNII with weights of its own."""

    def __init__(self, kind, width, dim, number):
        super().__init__()
        self.kind, self.beta = kind, float(np.log(0.5 / (number + 1) + 1))
        if kind == "sage":
            self.neigh, self.root = torch.nn.Module(), torch.nn.Module()
            self.neigh.weight, self.root.weight = matrix(width, dim), matrix(width, dim)
        else:
            self.weight = matrix(width, dim)
        if kind == "gcnii":
            self.initial = torch.nn.Module()
            self.initial.weight = matrix(dim, dim)
        else:
            self.bias = torch.nn.Parameter(torch.randn(1, dim) * 0.1)

    def forward(self, adj, x, first):
        if self.kind == "sage":
            return adj @ x @ self.neigh.weight + x @ self.root.weight + self.bias
        a = (adj != 0).to(x) + torch.eye(NODES).to(x)
        d = torch.diag(a.sum(1) ** -0.5)
        if self.kind == "gcn":
            return d @ a @ d @ x @ self.weight + self.bias
        p, first, b = 0.8 * (d @ a @ d @ x), 0.2 * first, self.beta
        return (1 - b) * (p + first) + b * (p @ self.weight + first @ self.initial.weight)


class Other(torch.nn.Module):
    """conv, batch norm, residual, activation; or layers whose outputs jumping knowledge reads."""

    def __init__(self, arch, aggr, bias, act, dim, layer="", norm="", residual="", head="l2norm", jk="", jumps=(), keys=""):
        super().__init__()
        self.act, self.head, self.jk_kind, self.jumps, self.layers = act, head, jk, jumps, torch.nn.ModuleList()
        width, orders, number = FEATURES, [int(k) for k in arch.split("-")], 0
        if jumps:
            orders = orders[:max(jumps) + 1]
        for i, order in enumerate(orders):
            if not layer or order == 0:
                self.layers.append(Layer(width, dim, order, act, aggr, bias))
                width = self.layers[-1].width
                continue
            last = head == "none" and i == len(orders) - 1
            conv = Conv(layer, width, CLASSES if last else dim, number)
            number += 1
            conv.out, conv.last = CLASSES if last else dim, last
            conv.same = residual != "" and width == conv.out and not last
            if residual == "project" and width != conv.out and not last:
                conv.residual = torch.nn.Module()
                conv.residual.weight = matrix(width, conv.out)
            if norm and not last:
                conv.norm = torch.nn.BatchNorm1d(conv.out)
                torch.nn.init.normal_(conv.norm.weight, 1, 0.1)
                torch.nn.init.normal_(conv.norm.bias, 0, 0.1)
            self.layers.append(conv)
            width = conv.out
        if jk:
            width = sum(self.layers[i].width for i in jumps) if jk == "concat" else width
            self.jk = Layer(width, dim, 0, act, "concat", bias)
            width = dim
        if head != "none":
            self.classifier = Layer(width, CLASSES, 0, "I", "concat", "bias")

    def block(self, conv, adj, x, first):
        h = conv(adj, x, first)
        if conv.last:
            return h
        if hasattr(conv, "norm"):
            h = conv.norm(h)
        if hasattr(conv, "residual"):
            h = h + x @ conv.residual.weight
        elif conv.same:
            h = h + x
        return act_of(self.act, h)

    def forward(self, adj, x):
        first, outs = None, []
        for layer in self.layers:
            x = layer(adj, x) if isinstance(layer, Layer) else self.block(layer, adj, x, first)
            first = x if first is None else first
            outs.append(x)
        if self.jk_kind:
            kept = [outs[i] for i in self.jumps]
            x = self.jk(adj, torch.cat(kept, 1) if self.jk_kind == "concat" else torch.stack(kept).amax(0))
        if self.head == "none":
            return x
        if self.head == "l2norm":
            x = torch.nn.functional.normalize(x, dim=1, eps=1e-12)
        return self.classifier(adj, x)


class Model(torch.nn.Module):
    def __init__(self, arch, aggr, bias, act, dim):
        super().__init__()
        self.layers = torch.nn.ModuleList()
        width = FEATURES
        for order in map(int, arch.split("-")):
            self.layers.append(Layer(width, dim, order, act, aggr, bias))
            width = self.layers[-1].width
        self.classifier = Layer(width, CLASSES, 0, "I", "concat", "bias")

    def forward(self, adj, x):
        for layer in self.layers:
            x = layer(adj, x)
        return self.classifier(adj, torch.nn.functional.normalize(x, dim=1, eps=1e-12))


def names(model):
    """Our parameter names for PyTorch's."""
    state = {}
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if name.endswith("num_batches_tracked"):
            continue
        if ".norm.weight" in name:
            name = name.replace("weight", "scale")
        elif ".norm.bias" in name:
            name = name.replace("bias", "offset")
        state[name] = value
    return state


def flat(prefix, tensors):
    return {prefix + k: v.detach().reshape(v.shape if v.dim() == 2 else (1, -1)).numpy().astype(np.float32)
            for k, v in tensors.items()}


def make_batch(rng, factor):
    """Inputs are rounded to float32 first, so that all programs compute from the same numbers."""
    adj = np.asarray(subgraph(rng), np.float32)
    x = np.asarray(rng.standard_normal((NODES, FEATURES)), np.float32)
    weight = np.asarray(rng.uniform(0.5, 1.5, NODES) * factor / NODES, np.float32)
    weight[[5, 20]] = 0
    label = rng.integers(0, CLASSES, NODES).astype(np.int32)
    multi = (rng.random((NODES, CLASSES)) < 0.4).astype(np.uint8)
    return adj, x, weight, label, multi


def train(model, batch, loss_kind, single, decay):
    """Ten Adam steps in the model's precision: what the first step computed, the losses and
    gradient norms of all, the trained parameters, and the logits in evaluation mode."""
    adj, x, weight, label, multi = batch
    dtype = next(model.parameters()).dtype
    adj, x, weight = (torch.from_numpy(a).to(dtype) for a in (adj, x, weight))
    label = torch.from_numpy(label).long()
    onehot = torch.nn.functional.one_hot(label, CLASSES).to(dtype)
    target = onehot if single else torch.from_numpy(multi).to(dtype)
    out, losses, norms = {}, [], []
    adam = torch.optim.Adam(model.parameters(), lr=LR)
    for step in range(STEPS):
        adam.zero_grad()
        logits = model(adj, x)
        if loss_kind == "softmax":
            each = torch.nn.functional.cross_entropy(logits, label, reduction="none")
        else:
            each = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
        loss = (weight * each).sum()
        loss.backward()
        params = names(model)
        grads = {k: v.grad for k, v in params.items() if v.requires_grad}
        if step == 0:
            out |= flat("", {"logits": logits}) | flat("grad.", grads)
        with torch.no_grad():
            for k, g in grads.items():
                g += decay * params[k]
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        losses.append(loss.item())
        adam.step()
    model.eval()
    out |= flat("trained.", names(model))
    out |= flat("", {"losses": torch.tensor([losses]), "norms": torch.tensor([norms]), "eval_logits": model(adj, x)})
    return out


def run(name, arch, aggr, bias, act, loss_kind, dim, decay, factor, single, options=None, *, seed):
    torch.manual_seed(seed)
    batch = make_batch(np.random.default_rng(seed), factor)
    adj, x, weight, label, multi = batch
    model = Other(arch, aggr, bias, act, dim, **options) if options else Model(arch, aggr, bias, act, dim)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.float().double())
    rows, cols = adj.nonzero()
    out = {
        "indptr": np.searchsorted(rows, np.arange(NODES + 1)).astype(np.int32),
        "indices": cols.astype(np.int32), "values": adj[rows, cols],
        "x": x, "weight": weight.reshape(-1, 1), "target": label.reshape(-1, 1) if single else multi,
    }
    out |= flat("param.", names(model))
    single_precision = train(copy.deepcopy(model).float(), batch, loss_kind, single, decay)
    result = train(model, batch, loss_kind, single, decay)
    gap = {k: np.abs(v - single_precision[k]).max() / np.abs(v).max() for k, v in result.items()}
    worst_grad = max(v for k, v in gap.items() if k.startswith("grad."))
    worst = max(gap.values())
    print(f"{name} seed {seed}: loss {result['losses'][0, 0]:.4f} -> {result['losses'][0, -1]:.4f}, "
          f"norm {result['norms'][0, 0]:.3f}, float32 gap {worst_grad:.1e} gradients, {worst:.1e} all")
    if worst_grad > 2e-5 or worst > 2e-4:
        return False
    out = {k: np.ascontiguousarray(v) for k, v in sorted((out | result).items())}
    meta = dict(name=name, arch=arch, aggr=aggr, bias=bias, act=act, loss=loss_kind, dim=str(dim),
                weight_decay=str(decay), lr=str(LR), clip=str(CLIP), seed=str(seed))
    meta |= {k: v for k, v in (options or {}).items() if k != "jumps"}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model", name + ".safetensors")
    save_file(out, path, metadata=meta)
    return True


for number, (name, case) in enumerate((CASES | OTHERS).items()):
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    for seed in range(100 * number + 100, 100 * number + 200):
        if run(name, *case, seed=seed):
            break
    else:
        sys.exit(f"{name}: no draw on which PyTorch agrees with itself")
