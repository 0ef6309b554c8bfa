"""GraphSAINT in plain PyTorch, trained from the subgraphs of 'saint serve'.

    saint serve --data_prefix ./data/ppi --train_config table2/ppi2_rw.yml
    python examples/train_torch.py --source grpc://127.0.0.1:8815 --dataset ppi --data_prefix ./data/ppi --epochs 50

The model is that of table2/ppi2_rw.yml: layers of order 1, 0, 1, 0, hops concatenated, a norm after each hop. Subgraphs,
their features, labels and both normalisations come from the service. Only evaluation, which is on the whole graph,
reads the data folder. Needs torch and numpy.
"""

import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import saint_client


class Hop(nn.Module):
    """act(x W + b), normalised over the features of each node."""

    def __init__(self, width, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.scale = nn.Parameter(torch.ones(dim))
        self.offset = nn.Parameter(torch.zeros(dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x):
        return F.layer_norm(F.relu(x @ self.weight + self.bias), self.bias.shape, self.scale, self.offset, 1e-9)


class GraphSAINT(nn.Module):
    """Layers of the given orders: order k concatenates the hops x, A x, ... A^k x. Then a classifier."""

    def __init__(self, features, classes, orders=(1, 0, 1, 0), dim=512, dropout=0.1):
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList()
        width = features
        for order in orders:
            self.layers.append(nn.ModuleList(Hop(width, dim) for _ in range(order + 1)))
            width = dim * (order + 1)
        self.classifier = nn.Linear(width, classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, adj, x):
        for hops in self.layers:
            x = F.dropout(x, self.dropout, self.training)
            parts = [hops[0](x)]
            for hop in hops[1:]:
                x = adj @ x
                parts.append(hop(x))
            x = torch.cat(parts, 1)
        x = F.normalize(x, dim=1, eps=1e-12)
        return self.classifier(F.dropout(x, self.dropout, self.training))


def loss_of(scores, batch):
    """The loss of every node times the weight that undoes how often it is sampled."""
    if batch.labels.dim() == 2:
        each = F.binary_cross_entropy_with_logits(scores, batch.labels.float(), reduction="none").sum(1)
    else:
        each = F.cross_entropy(scores, batch.labels.long(), reduction="none", ignore_index=-1)
    return (each * batch.loss_norm).sum()


class FullGraph:
    """The whole graph of a data folder, for evaluation."""

    def __init__(self, folder):
        def load(name):
            return np.load(os.path.join(folder, name))

        def text(name):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                return json.load(f)

        full, train, x = load("adj_full.npz"), load("adj_train.npz"), load("feats.npy").astype(np.float64)
        degrees = np.diff(full["indptr"])
        mean = np.repeat(1 / np.maximum(degrees, 1), degrees).astype(np.float32)
        parts = [torch.from_numpy(a) for a in (full["indptr"].astype(np.int32), full["indices"].astype(np.int32), mean)]
        n = len(degrees)
        self.adj = torch.sparse_csr_tensor(*parts, (n, n), check_invariants=False)
        # As the service has them: standardised by the nodes that have an edge in the training graph.
        seen = np.union1d(np.flatnonzero(np.diff(train["indptr"])), train["indices"])
        std = x[seen].std(0)
        self.x = torch.from_numpy(((x - x[seen].mean(0)) / np.where(std == 0, 1, std)).astype(np.float32))
        classes = text("class_map.json")
        self.labels = np.array([classes[str(i)] for i in range(n)])
        if self.labels.ndim == 1:
            self.labels = self.labels - self.labels.min()
        self.roles = text("role.json")

    @torch.no_grad()
    def f1_micro(self, model, role):
        model.eval()
        scores = model(self.adj, self.x)[self.roles[role]]
        model.train()
        want = torch.from_numpy(self.labels[self.roles[role]])
        if want.dim() == 1:
            return (scores.argmax(1) == want).double().mean().item()
        got, want = scores > 0, want > 0
        hits = (got & want).sum().item()
        return 2 * hits / max(1, got.sum().item() + want.sum().item())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="grpc://127.0.0.1:8815", help="servers, as of saint train --source")
    parser.add_argument("--dataset", default="ppi", help="name of the data set at the service")
    parser.add_argument("--data_prefix", help="its folder, for evaluation")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--every", type=int, default=10, help="epochs between evaluations")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    client = saint_client.Client(args.source)
    meta = client.meta(args.dataset, seed=args.seed, columns=["features"])
    torch.manual_seed(args.seed)
    model = GraphSAINT(meta.num_features, meta.num_classes, dim=args.dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    graph = FullGraph(args.data_prefix) if args.data_prefix else None

    stop = args.epochs * meta.batches_per_epoch
    begin, waited, total = time.monotonic(), 0.0, 0.0
    with client.batches(args.dataset, seed=args.seed, stop=stop, columns=["features"], data=meta.data) as batches:
        while batches.next_index is not None:
            before = time.monotonic()
            batch = next(batches).torch()
            waited += time.monotonic() - before
            loss = loss_of(model(batch.adj, batch.features), batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()
            total += loss.item()
            epoch, rest = divmod(batch.index + 1, meta.batches_per_epoch)
            if rest:
                continue
            seconds = time.monotonic() - begin
            line = f"epoch {epoch}: loss {total / meta.batches_per_epoch:.4f}, {seconds:.1f} s, waited {waited:.2f} s"
            if graph and (epoch % args.every == 0 or epoch == args.epochs):
                line += f", F1-micro validation {graph.f1_micro(model, 'va'):.4f}, test {graph.f1_micro(model, 'te'):.4f}"
            print(line, flush=True)
            total = 0.0


if __name__ == "__main__":
    main()
