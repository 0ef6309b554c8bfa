"""Writes golden.json: scores of random predictions by scikit-learn.

Run with scikit-learn installed; the versions used are recorded in the file.
"""
import json
import numpy as np
import sklearn
from sklearn import metrics

rng = np.random.default_rng(7)
cases = []


def add(name, multi, logits, truth):
    logits = np.asarray(logits, np.float32)
    truth = np.asarray(truth)
    pred = (logits > 0).astype(int) if multi else logits.argmax(1)
    k = logits.shape[1]
    p, r, f, s = metrics.precision_recall_fscore_support(truth, pred, labels=range(k), zero_division=0)
    auc = None
    if multi:
        ok = [j for j in range(k) if 0 < truth[:, j].sum() < len(truth)]
        if ok:
            auc = float(np.mean([metrics.roc_auc_score(truth[:, j], logits[:, j]) for j in ok]))
    cases.append(dict(
        name=name, multi=multi, classes=k, logits=[float(x) for x in logits.ravel()],
        truth=[int(x) for x in truth.ravel()],
        micro=float(metrics.f1_score(truth, pred, average="micro", zero_division=0)),
        macro=float(metrics.f1_score(truth, pred, average="macro", zero_division=0)),
        accuracy=float(metrics.accuracy_score(truth, pred)), rocauc=auc,
        precision=p.tolist(), recall=r.tolist(), f1=f.tolist(), support=[int(x) for x in s]))


add("random", False, rng.normal(size=(60, 7)), rng.integers(0, 7, 60))
add("absent classes", False, np.eye(6)[[0, 0, 1, 1, 2]] * 3, [0, 1, 1, 1, 0])
add("all right", False, np.eye(3)[[0, 1, 2]], [0, 1, 2])
add("all wrong", False, np.eye(3)[[1, 2, 0]], [0, 1, 2])
add("random multi", True, rng.normal(size=(50, 9)).round(1), rng.integers(0, 2, (50, 9)))
add("sparse multi", True, rng.normal(-2, 1, size=(40, 12)).round(1), (rng.random((40, 12)) < 0.1).astype(int))
add("nothing predicted", True, -np.ones((5, 3)), rng.integers(0, 2, (5, 3)))
add("no positive truth", True, rng.normal(size=(5, 3)), np.zeros((5, 3), int))
add("ties", True, np.repeat(rng.integers(-2, 3, (30, 1)), 2, 1), rng.integers(0, 2, (30, 2)))
json.dump(dict(sklearn=sklearn.__version__, numpy=np.__version__, cases=cases), open("golden.json", "w"), indent=None)
