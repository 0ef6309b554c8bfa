"""Trains a model with GraphSAINT's attention layers in PyTorch on what `saint bench export`
wrote, and scores it on the whole graph: what these layers reach on the same subgraphs from the
same parameters, by another implementation.

    saint bench export --data_prefix data/ppi --train_config train_config/explore/ppi2_gat.yml \\
        --count 600 --out /tmp/ppi-gat
    python bench/peer_attention.py /tmp/ppi-gat --updates 600
    python bench/peer_attention.py /tmp/ppi-gat --what score --params RUN/checkpoints/best.safetensors

Before training it checks that an attention layer computed edge by edge has the same values and
gradients as the form used for training, and that the first losses without dropout are those of
the export. Needs what bench/peer_torch.py needs, whose reader of exports it uses.
"""
import argparse
import os
import sys
import time

import torch
import torch.nn.functional as F

import peer_torch
from peer_torch import ACTS, Export, check, classifier, say, spmm
from safetensors.torch import load_file


def lrelu(z):
    return F.leaky_relu(z, 0.2)


def aggregate(a, s, t, f):
    """sum over v of (s[u] + t[v]) A[u,v] f[v], for each head. Either score stands before one sum
    over neighbours: s (A f) + A (t f), one product of A with both side by side."""
    n, heads, width = f.shape
    both = spmm(*a, torch.cat([f.reshape(n, -1), (t.unsqueeze(2) * f).reshape(n, -1)], 1))
    mean, scored = both.view(n, 2, heads, width).unbind(1)
    return s.unsqueeze(2) * mean + scored


def aggregate_edges(a, s, t, f):
    """The same as its formula reads: a weight for every edge and head."""
    indptr, cols, values = a[:3]
    rows = torch.repeat_interleave(torch.arange(f.shape[0]), indptr.diff().long())
    weight = (s[rows] + t[cols]) * values.unsqueeze(1)
    return torch.zeros_like(f).index_add(0, rows, weight.unsqueeze(2) * f[cols])


class Model(torch.nn.Module):
    """Attention layers of order 1 and dense ones, with the parameters of an export. Heads lie side
    by side in the columns of a weight; order 0 has heads in its norm alone."""

    def __init__(self, spec, params, heads, dropout, edges=False):
        super().__init__()
        self.spec, self.heads, self.dropout = spec, heads, dropout
        self.aggregate = aggregate_edges if edges else aggregate
        self.prefixes = ["layers.%d" % i for i in range(len(spec["arch"]))] + [classifier(params)]
        # Names of parameters must not have dots.
        self.p = torch.nn.ParameterDict({k.replace(".", "/"): torch.nn.Parameter(v.reshape(-1) if v.shape[0] == 1 else v)
                                         for k, v in params.items()})

    def get(self, prefix, order, name):
        return self.p[("%s.hops.%d.%s" % (prefix, order, name)).replace(".", "/")]

    def split(self, z):
        return z.view(*z.shape[:-1], self.heads, -1)

    def project(self, prefix, order, x, act):
        return ACTS[act](x @ self.get(prefix, order, "weight") + self.get(prefix, order, "bias"))

    def norm(self, prefix, order, f):
        """Mean 0 and variance 1 over the columns of each node's head."""
        var, mean = torch.var_mean(f, dim=2, keepdim=True, correction=0)
        f = (f - mean) / torch.sqrt(var + 1e-9)
        return f.flatten(1) * self.get(prefix, order, "scale") + self.get(prefix, order, "offset")

    def forward(self, x, a):
        for prefix, order in zip(self.prefixes, self.spec["arch"]):
            x = F.dropout(x, self.dropout, self.training)
            f = [self.split(self.project(prefix, i, x, self.spec["act"])) for i in range(order + 1)]
            if order == 1:
                s = lrelu((f[0] * self.split(self.get(prefix, 1, "attention_self"))).sum(2))
                t = lrelu((f[1] * self.split(self.get(prefix, 1, "attention_neigh"))).sum(2))
                f[1] = self.aggregate(a, s, t, f[1])
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
    opt, begin, loss = adam(x, model), time.perf_counter(), 0.0
    for i, batch in enumerate(batches):
        if i % args.every == 0:
            say(args, dict(type="scores", update=i, loss=loss, seconds=round(time.perf_counter() - begin, 1), **scores(x, model, full)))
        loss = update(x, model, opt, batch)
    say(args, dict(type="scores", update=len(batches), loss=loss, seconds=round(time.perf_counter() - begin, 1), **scores(x, model, full)))


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
