"""What a run leaves behind: checkpoints, normalisation, logs and predictions, and its scores against
scikit-learn's over those predictions."""

import json
import os
import warnings

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import safetensors
from sklearn import metrics

from .batches import config
from .dataset import make, read_json, write_folder
from .harness import unpack

NAMES = {"train": "tr", "val": "va", "test": "te"}


def tensors(h, path, what):
    """The tensors of a file by the library, which we read as well."""
    with safetensors.safe_open(path, framework="numpy") as f:
        theirs, meta = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()
    ours = h.go("safetensors.read", path=path)
    h.equal(what + ": metadata", ours["metadata"], meta)
    h.equal(what + ": names", [t["name"] for t in ours["tensors"]], sorted(theirs))
    for t in ours["tensors"]:
        h.equal(f"{what}: {t['name']}", unpack(t["values"]["float32"]), theirs[t["name"]])
    return theirs, meta


def checkpoints(h, run, data):
    best, meta = tensors(h, os.path.join(run, "checkpoints", "best.safetensors"), "best")
    h.equal("best: format", meta["saint.format"], "1")
    last, _ = tensors(h, os.path.join(run, "checkpoints", "last.safetensors"), "last")
    h.equal("last: names", sorted(last), sorted(best))
    state, meta = tensors(h, os.path.join(run, "checkpoints", "last.state.safetensors"), "state")
    for name, t in last.items():
        h.equal("state: " + name, state[name], t)
        h.equal("state: moments of " + name, (state["adam.m." + name].shape, state["adam.v." + name].shape), (t.shape, t.shape))
    h.true("state: json", json.loads(meta["saint.state"])["done"])
    norm, meta = tensors(h, os.path.join(run, "norm", "phase0.safetensors"), "norm")
    h.equal("norm: shapes", {k: v.shape for k, v in norm.items()}, {"loss": (data.n,), "aggr": (data.train.nnz,)})
    described = read_json(os.path.join(run, "run.json"))
    h.equal("run.json", (described["state"], described["seed"]), ("done", 1))
    return best


def predictions(h, run, flags, kind):
    """The matrix that saint predict writes, read in its three forms."""
    paths = {suffix: h.path(suffix) for suffix in (".npy", ".csv", ".parquet")}
    for path in paths.values():
        h.saint("predict", run, "--out", path, *flags)
    matrix = np.load(paths[".npy"])
    h.equal(f"predict {flags}: type", matrix.dtype.name, kind)
    columns = matrix.reshape(len(matrix), -1).T
    text = pl.read_csv(paths[".csv"], infer_schema_length=None)
    binary = pl.read_parquet(paths[".parquet"])
    table = pq.read_table(paths[".parquet"])
    h.equal(f"predict {flags}: names", text.columns, binary.columns)
    h.equal(f"predict {flags}: nodes", text["node"].to_list(), list(range(len(matrix))))
    for name, want in zip(text.columns[1:], columns):
        h.equal(f"predict {flags}: {name} as text", text[name].to_numpy().astype(kind), want)
        h.equal(f"predict {flags}: {name} by Polars", binary[name].to_numpy(), want)
        h.equal(f"predict {flags}: {name} by pyarrow", table.column(name).to_numpy(), want)
    return matrix


def scores(h, run, data, what):
    classes = predictions(h, run, [], "uint8" if data.multi else "int64")
    odds = predictions(h, run, ["--probabilities"], "float32")
    inner = predictions(h, run, ["--embeddings"], "float32")
    h.close(what + ": unit length", np.linalg.norm(inner.astype("float64"), axis=1), np.ones(data.n), 1e-5)
    with safetensors.safe_open(os.path.join(run, "checkpoints", "best.safetensors"), framework="numpy") as f:
        logits = inner.astype("float64") @ f.get_tensor("classifier.hops.0.weight") + f.get_tensor("classifier.hops.0.bias")
    if data.multi:
        h.close(what + ": sigmoid", odds, 1 / (1 + np.exp(-logits)), 1e-5)
        h.equal(what + ": classes", classes, (odds > 0.5).astype("uint8"))
    else:
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        h.close(what + ": softmax", odds, e / e.sum(axis=1, keepdims=True), 1e-5)
        h.equal(what + ": classes", classes, np.argmax(odds, axis=1) + 3)
    lines, _ = h.saint("eval", run)
    by_split = {line["split"]: line for line in lines}
    for split, role in NAMES.items():
        truth, pred = data.labels[data.roles[role]], classes[data.roles[role]]
        line = by_split[split]
        h.equal(f"{what}: {split} nodes", line["nodes"], len(truth))
        h.close(f"{what}: {split} micro", line["f1_micro"], metrics.f1_score(truth, pred, average="micro", zero_division=0), 1e-12)
        h.close(f"{what}: {split} macro", line["f1_macro"], metrics.f1_score(truth, pred, average="macro", zero_division=0), 1e-12)
        h.close(f"{what}: {split} accuracy", line["accuracy"], metrics.accuracy_score(truth, pred), 1e-12)
    test = data.roles["te"]
    return by_split, area(data.labels[test], odds[test]) if data.multi else None


def area(truth, odds):
    """The mean area, and how far that of the logits may be from it: those that differ in their last
    bits only become equal probabilities."""
    slack = 1e-9
    for t, x in zip(truth.T, odds.T):
        positive, negative = x[t == 1], x[t == 0]
        near = np.abs(positive[:, None] - negative) < 3e-7
        slack += near.mean() / truth.shape[1]
    return metrics.roc_auc_score(truth, odds, average="macro"), slack


def run(h):
    rng = np.random.default_rng(12)
    # The names of the sets choose the scores that the benchmark wants of them.
    for name, multi in (("ogbn-proteins", True), ("ogbn-arxiv", False)):
        data = make(rng, n=200, multi=multi)
        parent, folder = h.path(), h.path()
        os.mkdir(parent)
        data_folder = write_folder(os.path.join(parent, name), data)
        yml = config(h, "sigmoid" if multi else "softmax")
        lines, _ = h.saint("train", "--data_prefix", data_folder, "--train_config", yml, "--run_dir", folder, "--no_cache")
        with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as f:
            log = [json.loads(line) for line in f]
        h.equal(name + ": log", log, lines)
        result = log[-1]
        h.equal(name + ": result", result["type"], "result")
        checkpoints(h, folder, data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            by_split, auc = scores(h, folder, data, name)
        h.close(name + ": result's micro", result["test_f1_micro"], by_split["test"]["f1_micro"], 0)
        if multi:
            h.close(name + ": ROC-AUC", result["test_rocauc"], *auc)
        else:
            h.close(name + ": accuracy", result["test_accuracy"], by_split["test"]["accuracy"], 0)
