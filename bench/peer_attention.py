"""Trains a model with GraphSAINT's attention layers, with GaAN's gates or without, or with its
plain layers, in PyTorch on what `saint bench export` wrote, and scores it on the whole graph:
what these layers reach on the same subgraphs from the same parameters, by another
implementation. Which layers they are is seen from the parameters.

    saint bench export --data_prefix data/ppi --train_config train_config/explore/ppi2_gat.yml \\
        --count 600 --out /tmp/ppi-gat
    python bench/peer_attention.py /tmp/ppi-gat --updates 600
    python bench/peer_attention.py /tmp/ppi-gat --what score --params RUN/checkpoints/best.safetensors

Before training it checks that a layer computed edge by edge has the same values and gradients
as the form used for training, and that the first losses without dropout are those of the
export. Needs what bench/peer_torch.py needs, whose reader of exports it uses.
"""
import argparse
import os
import sys
import time
import warnings

import torch
import torch.nn.functional as F

import peer_torch
from peer_torch import ACTS, Export, check, classifier, say, spmm
from safetensors.torch import load_file

warnings.filterwarnings("ignore", message=".*index_reduce.*")


def lrelu(z):
    return F.leaky_relu(z, 0.2)


def aggregate(a, s, t, f):
    """sum over v of (s[u] + t[v]) A[u,v] f[v], for each head. Either score stands before one sum
    over neighbours: s (A f) + A (t f), one product of A with both side by side."""
    n, heads, width = f.shape
    both = spmm(*a, torch.cat([f.reshape(n, -1), (t.unsqueeze(2) * f).reshape(n, -1)], 1))
    mean, scored = both.view(n, 2, heads, width).unbind(1)
    return s.unsqueeze(2) * mean + scored


def edges(a):
    indptr, cols, values = a[:3]
    return torch.repeat_interleave(torch.arange(len(indptr) - 1), indptr.diff().long()), cols.long(), values


def aggregate_edges(a, s, t, f):
    """The same as its formula reads: a weight for every edge and head."""
    rows, cols, values = edges(a)
    weight = (s[rows] + t[cols]) * values.unsqueeze(1)
    return torch.zeros_like(f).index_add(0, rows, weight.unsqueeze(2) * f[cols])


def mean(a, z):
    return spmm(*a, z)


def mean_edges(a, z):
    rows, cols, values = edges(a)
    return torch.zeros_like(z).index_add(0, rows, values.unsqueeze(1) * z[cols])


EDGES_AT_ONCE = 1 << 20  # whose rows largest holds


def largest(a, z):
    """max over v of z[v] for each column, 0 where there is no neighbour; some rows after others."""
    indptr, cols = a[0].long(), a[1]
    degree, out, lo = indptr.diff(), [], 0
    while lo < len(degree):
        hi = max(lo + 1, int(torch.searchsorted(indptr, indptr[lo] + EDGES_AT_ONCE, right=True)) - 1)
        part = torch.segment_reduce(z[cols[indptr[lo]:indptr[hi]]], "max", lengths=degree[lo:hi], axis=0, unsafe=True, initial=-torch.inf)
        out.append(torch.where(degree[lo:hi].unsqueeze(1) > 0, part, 0.0))
        lo = hi
    return torch.cat(out)


def largest_edges(a, z):
    rows, cols, _ = edges(a)
    return torch.zeros_like(z).index_reduce(0, rows, z[cols], "amax", include_self=False)


class Model(torch.nn.Module):
    """Layers of order 1 and dense ones, with the parameters of an export. Heads lie side by side in
    the columns of a weight; order 0 has heads in its norm alone, and with gates nowhere."""

    def __init__(self, spec, params, heads, dropout, edges=False):
        super().__init__()
        self.spec, self.heads, self.dropout = spec, heads, dropout
        self.aggregate = aggregate_edges if edges else aggregate
        self.mean = mean_edges if edges else mean
        self.largest = largest_edges if edges else largest
        self.attention = any(k.endswith(".attention_self") for k in params)
        self.gated = any(k.endswith(".gate.pool") for k in params)
        self.prefixes = ["layers.%d" % i for i in range(len(spec["arch"]))] + [classifier(params)]
        # Names of parameters must not have dots.
        self.p = torch.nn.ParameterDict({k.replace(".", "/"): torch.nn.Parameter(v.reshape(-1) if v.shape[0] == 1 else v)
                                         for k, v in params.items()})

    def get(self, prefix, order, name):
        return self.p[("%s.hops.%d.%s" % (prefix, order, name)).replace(".", "/")]

    def split(self, z, groups=None):
        return z.view(*z.shape[:-1], groups or self.heads, -1)

    def project(self, prefix, order, x, act):
        return ACTS[act](x @ self.get(prefix, order, "weight") + self.get(prefix, order, "bias"))

    def norm(self, prefix, order, f):
        """Mean 0 and variance 1 over the columns of each node's head, or over all of them."""
        f = self.split(f, self.heads if self.attention and not self.gated else 1)
        var, mean = torch.var_mean(f, dim=2, keepdim=True, correction=0)
        f = (f - mean) / torch.sqrt(var + 1e-9)
        return f.flatten(1) * self.get(prefix, order, "scale") + self.get(prefix, order, "offset")

    def gate(self, prefix, x, a):
        """[x, max over v of (x W_p)[v], A x] W_g, a number for each node and head."""
        pool, weight = self.p[prefix.replace(".", "/") + "/gate/pool"], self.p[prefix.replace(".", "/") + "/gate/weight"]
        top = self.largest(a, x @ pool)
        if self.mean is mean_edges:
            return torch.cat([x, top, self.mean(a, x)], 1) @ weight
        own, most, rest = weight.split([x.shape[1], top.shape[1], x.shape[1]])
        return x @ own + top @ most + self.mean(a, x @ rest)

    def neighbors(self, prefix, x, a, f0):
        """What a layer has of order 1."""
        if not self.attention:
            z = self.mean(a, x @ self.get(prefix, 1, "weight"))
            return ACTS[self.spec["act"]](z + self.get(prefix, 1, "bias"))
        f = self.split(self.project(prefix, 1, x, self.spec["act"]))
        s = lrelu((self.split(f0) * self.split(self.get(prefix, 1, "attention_self"))).sum(2))
        t = lrelu((f * self.split(self.get(prefix, 1, "attention_neigh"))).sum(2))
        f = self.aggregate(a, s, t, f)
        if self.gated:
            f = self.gate(prefix, x, a).unsqueeze(2) * f
        return f.flatten(1)

    def forward(self, x, a):
        for prefix, order in zip(self.prefixes, self.spec["arch"]):
            x = F.dropout(x, self.dropout, self.training)
            f = [self.project(prefix, 0, x, self.spec["act"])]
            if order == 1:
                f.append(self.neighbors(prefix, x, a, f[0]))
            parts = [self.norm(prefix, i, z) for i, z in enumerate(f)]
            x = torch.cat(parts, 1) if self.spec["aggr"] == "concat" else sum(parts)
        x = F.dropout(F.normalize(x, dim=1, eps=1e-12), self.dropout, self.training)
        return self.project(self.prefixes[-1], 0, x, "I")


def loss_of(x, model, batch):
    nodes, a, weight, target = batch
    logits = model(x.features[nodes], a)
    if x.spec["loss"] == "softmax":
        each = F.cross_entropy(logits, target, reduction="none")
    else:
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    return (each * weight).sum()


def update(x, model, opt, batch):
    loss = loss_of(x, model, batch)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    if x.spec["grad_clip"] > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), x.spec["grad_clip"])
    opt.step()
    return loss.item()


def adam(x, model):
    return torch.optim.Adam(model.parameters(), lr=x.spec["lr"], weight_decay=x.spec["weight_decay"])


def forms(args, x, batches):
    """Both forms of the aggregation agree, in values and in gradients."""
    grads = []
    for edges in (False, True):
        model = Model(x.spec, x.params(), args.heads, 0, edges)
        loss = loss_of(x, model, batches[0])
        loss.backward()
        grads.append((loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()])))
    (got, g), (want, w) = grads
    check(args, "loss, edge by edge", got, want, 1e-5 * abs(want))
    check(args, "distance of gradients, edge by edge", float((g - w).norm() / w.norm()), 0.0, 1e-4)


def losses(args, x, batches):
    model = Model(x.spec, x.params(), args.heads, 0)
    opt = adam(x, model)
    for i, (batch, want) in enumerate(zip(batches, x.spec["losses_without_dropout"])):
        # Rounding grows with every update; the first loss depends on the forward pass alone.
        check(args, "loss of update %d" % i, update(x, model, opt, batch), want, (1e-4 if i == 0 else 5e-3) * abs(want))


def scores(x, model, full):
    model.eval()
    with torch.inference_mode():
        logits = model(x.features, full)
    model.train()
    return dict(val_f1_micro=x.f1(logits, "val"), test_f1_micro=x.f1(logits, "test"))


def score(args, x, batches):
    """The scores of parameters that saint has trained."""
    params = {k: v for k, v in load_file(args.params).items() if k in x.params()}
    say(args, dict(type="scores", params=args.params, **scores(x, Model(x.spec, params, args.heads, 0), x.full())))


def train(args, x, batches):
    torch.manual_seed(args.seed)
    full = x.full()
    model = Model(x.spec, x.params(), args.heads, x.spec["dropout"])
    opt, begin, loss, best = adam(x, model), time.perf_counter(), 0.0, None
    for i, batch in enumerate(batches + [None]):
        if i % args.every == 0 or batch is None:
            line = dict(type="scores", update=i, loss=loss, seconds=round(time.perf_counter() - begin, 1), **scores(x, model, full))
            say(args, line)
            if i > 0 and (best is None or line["val_f1_micro"] > best["val_f1_micro"]):
                best = line
        if batch is not None:
            loss = update(x, model, opt, batch)
    say(args, dict(best, type="best validation"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("export")
    p.add_argument("--what", default="forms,losses,train", help="which of forms, losses, train, score")
    p.add_argument("--params", help="parameters to score, of a checkpoint")
    p.add_argument("--heads", type=int, default=8)
    p.add_argument("--updates", type=int, default=600, help="one on each of the first subgraphs")
    p.add_argument("--every", type=int, default=20, help="updates between two scores")
    p.add_argument("--seed", type=int, default=1, help="of dropout")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    args.failed = False
    torch.set_num_threads(args.threads)
    peer_torch.KERNEL = "mkl"
    x = Export(args.export)
    if max(x.spec["arch"]) > 1 or x.spec["bias"] != "norm":
        sys.exit("layers of order 0 and 1 with bias: norm only")
    if "score" in args.what.split(",") and not args.params:
        p.error("--what score wants --params")
    batches = x.batches(args.updates)
    for name in args.what.split(","):
        {"forms": forms, "losses": losses, "train": train, "score": score}[name](args, x, batches)
    sys.exit(1 if args.failed else 0)


if __name__ == "__main__":
    main()
