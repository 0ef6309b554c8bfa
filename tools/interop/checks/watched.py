"""What looks at a run: event files by TensorBoard's own reader, metrics by the parser of Prometheus'
client for Python, timelines by a JSON parser."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {
    "train/loss": "train_loss",
    "train/f1_micro": "train_f1_micro",
    "validation/loss": "val_loss",
    "validation/f1_micro": "val_f1_micro",
    "validation/f1_macro": "val_f1_macro",
    "time/epoch_seconds": "seconds",
}


def lines(run):
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as f:
        return [x for x in map(json.loads, f) if x["type"] == "epoch"]


def events(h, run, folder, what):
    """Every scalar of the folder's files is that of the metrics, once."""
    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0})
    accumulator.Reload()
    h.equal(what + ": tags", sorted(accumulator.Tags()["scalars"]), sorted([*TAGS, "train/learning_rate"]))
    want = lines(run)
    for tag, key in TAGS.items():
        got = accumulator.Scalars(tag)
        h.equal(f"{what}: steps of {tag}", [e.step for e in got], [x["epoch"] for x in want])
        h.close(f"{what}: {tag}", [e.value for e in got], [x[key] for x in want], 1e-6)
    h.true(what + ": wall time", abs(accumulator.Scalars("train/loss")[0].wall_time - time.time()) < 3600)


def tensorboard(h):
    run, folder = h.path(), h.path()
    h.saint("train", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--run_dir", run, "--epochs", 3, "--tensorboard_dir", folder)
    events(h, run, folder, "tensorboard")
    h.saint("train", "--resume", run, "--epochs", 5)
    h.equal("resumed: files", len(os.listdir(folder)), 2)
    events(h, run, folder, "resumed")


def timeline(h):
    path = h.path(".json")
    h.saint("train", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--run_dir", h.path(), "--epochs", 3, "--timeline", path)
    with open(path, encoding="utf-8") as f:
        trace = json.load(f)["traceEvents"]
    spans = [e for e in trace if e["ph"] == "X"]
    names = {e["args"]["name"] for e in trace if e["name"] == "thread_name"}
    h.true("timeline: lanes", {"run", "compute", "copy", "evaluation", "sampler 0"} <= names, str(names))
    h.equal("timeline: epochs", sorted(e["args"]["number"] for e in spans if e["name"] == "epoch"), [0, 1, 2])
    h.true("timeline: times", all(e["ts"] >= 0 and e["dur"] >= 0 for e in spans))


def scrape(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def metrics(h):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    config = h.path(".yml")
    ours = subprocess.run([h.saint_path, "config", "check", "demo/tiny_rw.yml"], capture_output=True, text=True, check=True).stdout
    with open(config, "w", encoding="utf-8") as f:
        f.write(ours.replace("end: 30", "end: 1000000"))
    args = ["train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", h.path(), "--metrics_listen", address, "--quiet"]
    run = subprocess.Popen([h.saint_path, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        found = {}
        deadline = time.monotonic() + 60
        while found.get("saint_train_steps", [0])[0] < 5 and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.05)
            try:
                families = list(text_string_to_metric_families(scrape(address)))
            except urllib.error.URLError:
                continue
            found = {f.name: [s.value for s in f.samples] for f in families}
        for name in ("saint_train_steps", "saint_train_nodes", "saint_sampler_subgraphs", "saint_train_loss", "saint_train_steps_per_second"):
            h.true("metrics: " + name, found.get(name, [0])[0] > 0, str(found.get(name)))
        h.equal("metrics: stages", len(found.get("saint_sampler_stage_seconds", [])), 5)
        if run.poll() is None:
            h.true("metrics: resident memory", found.get("process_resident_memory_bytes", [0])[0] > 1e6)
    finally:
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    h.equal("metrics: exit code of the interrupted run", run.returncode, 130)
    h.true("metrics: messages", "resume" in errors, errors)


def run(h):
    tensorboard(h)
    timeline(h)
    metrics(h)
