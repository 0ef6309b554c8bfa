"""Writes optim.json, loss.json and schedule.json beside itself: what PyTorch's optimizers,
losses and learning-rate schedulers answer, for the tests of this package and of those below it.

    python3 make_golden.py
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
START = [[1, -2, 0.5, 3, -1, 0.25], [0.1, -0.1]]


def write(name, cases):
    text = ",\n".join(json.dumps(c) for c in cases)
    (HERE / name).write_text("[\n" + text + "\n]\n")


def gradient(n, step, scale):
    i = np.arange(n)
    return torch.tensor((scale * np.sin(3.0 * i + 2 * step + 1)).astype(np.float32).astype(np.float64))


def optimizer(params, c):
    decay = c.get("weight_decay", 0) if c["kind"] == "adamw" or not c.get("clip") else 0
    kind, lr, momentum = c["kind"], c["lr"], c.get("momentum", 0)
    if kind in ("adam", "adamw"):
        make = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
        return make(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
    if kind == "sgd":
        return torch.optim.SGD(params, lr=lr, momentum=momentum, nesterov=c.get("nesterov", False), weight_decay=decay)
    return torch.optim.RMSprop(params, lr=lr, alpha=c["alpha"], eps=1e-8, momentum=momentum, weight_decay=decay)


def train(c, steps=20):
    params = [torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in START]
    opt = optimizer(params, c)
    for step in range(1, steps + 1):
        if step == 11:  # what a schedule does
            for g in opt.param_groups:
                g["lr"] = c["lr"] / 2
        for p, shift in zip(params, (0, 7)):
            p.grad = gradient(len(p), step + shift, c["scale"])
            if c.get("clip") and c["kind"] != "adamw":
                p.grad += c.get("weight_decay", 0) * p.detach()  # before clipping
        if c.get("clip"):
            if c["clip_by"] == "norm":
                torch.nn.utils.clip_grad_norm_(params, c["clip"])
            else:
                torch.nn.utils.clip_grad_value_(params, c["clip"])
        opt.step()
    return {**c, "steps": steps, "values": [p.tolist() for p in params]}


def losses():
    rng = np.random.default_rng(1)
    n, k = 7, 5
    logits = rng.normal(size=(n, k)).astype(np.float32) * 3
    logits[2] *= 10
    node = rng.uniform(0.1, 2, n).astype(np.float32)
    node[3] = 0
    y = rng.integers(0, k, n)
    multi = rng.integers(0, 2, (n, k))
    weights = [1.0, 0.25, 0.0, 3.0, 1.5]
    for loss, target in (("softmax", "class"), ("sigmoid", "class"), ("sigmoid", "multi")):
        for share in (0.0, 0.1, 0.7):
            for w in ([1.0] * k, weights):
                x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
                cw, lam = torch.tensor(w, dtype=torch.float64), torch.tensor(node, dtype=torch.float64)
                labels = torch.tensor(y)
                case = {"loss": loss, "target": target, "smoothing": share, "class_weights": w, "logits": logits.ravel().tolist(),
                        "node_weights": node.tolist(), "class": y.tolist(), "multi": multi.ravel().tolist()}
                if loss == "softmax":
                    each = F.cross_entropy(x, labels, weight=cw, label_smoothing=share, reduction="none")
                    case["mean"] = torch.nn.CrossEntropyLoss(weight=cw, label_smoothing=share)(x, labels).item()
                else:
                    t = F.one_hot(labels, k).double() if target == "class" else torch.tensor(multi).double()
                    t = t * (1 - share) + share / 2
                    each = F.binary_cross_entropy_with_logits(x, t, weight=cw, reduction="none").sum(1)
                total = (each * lam).sum()
                total.backward()
                yield {**case, "total": total.item(), "gradient": x.grad.ravel().tolist()}
    eps = 1 - np.log(2)
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    each = torch.log(eps + F.cross_entropy(x, torch.tensor(y), reduction="none")) - np.log(eps)
    total = (each * torch.tensor(node, dtype=torch.float64)).sum()
    total.backward()
    yield {"loss": "softmax_log", "target": "class", "smoothing": 0.0, "class_weights": [1.0] * k, "logits": logits.ravel().tolist(),
           "node_weights": node.tolist(), "class": y.tolist(), "mean": each.mean().item(),
           "total": total.item(), "gradient": x.grad.ravel().tolist()}


SCORES = [0.5, 0.6, 0.60003, 0.6, 0.6, 0.61, 0.61, 0.61, 0.61, 0.61, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]


def schedule(name, yaml, make, warmup=0, per_epoch=3):
    """The rate of every update of len(SCORES) epochs with per_epoch updates."""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    warm = torch.optim.lr_scheduler.LinearLR(opt, 1 / warmup, 1, warmup - 1) if warmup else None
    epochs = make(opt) if make else None
    rates = []
    for score in SCORES:
        for _ in range(per_epoch):
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            if warm:
                warm.step()
        if isinstance(epochs, torch.optim.lr_scheduler.ReduceLROnPlateau):
            epochs.step(score)
        elif epochs:
            epochs.step()
    return {"name": name, "params": yaml, "end": len(SCORES), "per_epoch": per_epoch, "scores": SCORES, "rates": rates}


def schedules():
    s = torch.optim.lr_scheduler
    yield schedule("constant", "schedule: constant", None)
    yield schedule("step", "schedule: step, step_size: 4, gamma: 0.3", lambda o: s.StepLR(o, 4, 0.3))
    yield schedule("cosine", "schedule: cosine", lambda o: s.CosineAnnealingLR(o, len(SCORES)))
    yield schedule("cosine with a floor", "schedule: cosine, lr_min: 0.005", lambda o: s.CosineAnnealingLR(o, len(SCORES), 0.005))
    plateau = lambda o: s.ReduceLROnPlateau(o, "max", factor=0.2, patience=2, threshold=1e-4, min_lr=1e-3)
    yield schedule("plateau", "schedule: plateau, gamma: 0.2, plateau_patience: 2, lr_min: 0.001", plateau)
    eager = lambda o: s.ReduceLROnPlateau(o, "max", factor=0.5, patience=0, threshold=0.05)
    yield schedule("plateau with a threshold", "schedule: plateau, gamma: 0.5, plateau_patience: 0, plateau_threshold: 0.05", eager)
    yield schedule("warm-up", "warmup_steps: 10", None, warmup=10)
    yield schedule("warm-up and step", "warmup_steps: 7, schedule: step, step_size: 5, gamma: 0.1", lambda o: s.StepLR(o, 5, 0.1), warmup=7)


def main():
    none, norm, value = {}, {"clip": 1.0, "clip_by": "norm"}, {"clip": 0.5, "clip_by": "value"}
    cases = []
    for clip in (none, norm, value):
        for kind in (
            {"kind": "adam", "lr": 0.01, "weight_decay": 0.1},
            {"kind": "adamw", "lr": 0.01},
            {"kind": "adamw", "lr": 0.05, "weight_decay": 0.3},
            {"kind": "sgd", "lr": 0.01},
            {"kind": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.1},
            {"kind": "sgd", "lr": 0.01, "momentum": 0.8, "nesterov": True},
            {"kind": "rmsprop", "lr": 0.01, "alpha": 0.99, "weight_decay": 0.1},
            {"kind": "rmsprop", "lr": 0.005, "alpha": 0.9, "momentum": 0.9},
        ):
            cases.append(train({**kind, **clip, "scale": 2.0}))
    write("optim.json", cases)
    write("loss.json", losses())
    write("schedule.json", schedules())


if __name__ == "__main__":
    main()
