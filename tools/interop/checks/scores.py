"""Scores: F1, accuracy, the report by class and ROC-AUC as scikit-learn has them."""

import warnings

import numpy as np
from sklearn import metrics

from .harness import pack

TOLERANCE = 1e-12


def compare(h, what, got, truth, pred, classes, macro_labels):
    options = {"zero_division": 0}
    h.close(what + ": micro", got["micro"], metrics.f1_score(truth, pred, average="micro", **options), TOLERANCE)
    macro = metrics.f1_score(truth, pred, average="macro", labels=macro_labels, **options)
    h.close(what + ": macro", got["macro"], macro, TOLERANCE)
    h.close(what + ": accuracy", got["accuracy"], metrics.accuracy_score(truth, pred), TOLERANCE)
    report = metrics.precision_recall_fscore_support(truth, pred, labels=range(classes), **options)
    for row, key in zip(report, ("Precision", "Recall", "F1", "Support")):
        h.close(f"{what}: {key}", [c[key] for c in got["report"]], row, TOLERANCE)


def single(h, rng):
    for case in range(250):
        classes, n = int(rng.integers(1, 9)), int(rng.integers(1, 60))
        used = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False)  # the others are absent
        truth = rng.choice(used, n).astype("int32")
        what = f"single {case}"
        if case % 2:
            logits = rng.integers(-2, 3, (n, classes)).astype("float32")  # with ties: the first wins
            pred = np.argmax(logits, axis=1)
            got = h.go("score", classes=classes, logits=pack(logits), truth=pack(truth))
        else:
            pred = np.where(rng.random(n) < 0.6, truth, rng.integers(0, classes, n)).astype("int32")
            got = h.go("score", classes=classes, logits=pack(np.zeros(0, "float32")), pred=pack(pred), truth=pack(truth))
        h.equal(what + ": rows", got["rows"], n)
        compare(h, what, got, truth, pred, classes, None)
    for what, pred in {"all right": truth, "all wrong": (truth + 1) % 9}.items():
        pred = pred.astype("int32")
        got = h.go("score", classes=9, logits=pack(np.zeros(0, "float32")), pred=pack(pred), truth=pack(truth))
        compare(h, what, got, truth, pred, 9, None)


def multi(h, rng):
    for case in range(250):
        classes, n = int(rng.integers(2, 9)), int(rng.integers(1, 60))
        truth = (rng.random((n, classes)) < rng.choice([0, 0.1, 0.5, 1], classes)).astype("uint8")
        logits = rng.integers(-3, 4, (n, classes)).astype("float32") / 2  # 0 is a probability of a half
        if case % 3 == 0:
            logits[:, 0] = -1  # a class that is never predicted
        got = h.go("score", classes=classes, multi=True, logits=pack(logits), truth=pack(truth))
        pred = (1 / (1 + np.exp(-logits.astype("float64"))) > 0.5).astype("uint8")
        compare(h, f"multi {case}", got, truth, pred, classes, None)
    truth, logits = np.array([[1], [0], [1], [1]], "uint8"), np.array([[1], [1], [-1], [2]], "float32")
    got = h.go("score", classes=1, multi=True, logits=pack(logits), truth=pack(truth))
    want = metrics.f1_score(truth.ravel(), logits.ravel() > 0, average="binary")
    h.close("one class: micro", got["micro"], want, TOLERANCE)
    h.close("one class: macro", got["macro"], want, TOLERANCE)


def area(h, rng):
    undefined = 0
    for case in range(400):
        k, n = int(rng.integers(1, 6)), int(rng.integers(1, 400 if case % 10 == 0 else 40))
        truth = (rng.random((n, k)) < rng.choice([0.02, 0.3, 0.5, 0.98], k)).astype("uint8")
        if case % 2:
            scores = rng.integers(0, 5, (n, k)).astype("float32")  # many ties
        else:
            scores = rng.standard_normal((n, k)).astype("float32") * np.float32(10.0 ** rng.integers(-30, 30))
        got, want = h.go("rocauc", scores=pack(scores), truth=pack(truth), k=k), []
        for j in range(k):
            one_class = truth[:, j].min() == truth[:, j].max()
            undefined += one_class
            want.append(None if one_class else metrics.roc_auc_score(truth[:, j], scores[:, j]))
            h.close(f"area {case}, column {j}", got["columns"][j], want[j], TOLERANCE)
        defined = [a for a in want if a is not None]
        h.close(f"area {case}: mean", got["mean"], np.mean(defined) if defined else None, TOLERANCE)
    h.true("some columns had one class", undefined > 0)
    truth = (rng.random(200_000) < 0.2).astype("uint8")
    scores = (rng.standard_normal(200_000) + truth).astype("float16").astype("float32")  # large, with ties
    got = h.go("rocauc", scores=pack(scores), truth=pack(truth), k=1)
    h.close("a large area", got["mean"], metrics.roc_auc_score(truth, scores), TOLERANCE)


def run(h):
    rng = np.random.default_rng(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single(h, rng)
        multi(h, rng)
        area(h, rng)
