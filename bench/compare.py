"""Runs saint and the peers in turn on the same graphs and prints their ratios.

    python3 bench/compare.py --saint bin/saint --python .tools/peer/bin/python

First every data set is exported once (subgraphs, parameters, data) and the PyTorch model is
checked to compute what saint computes; a peer that computes something else is not timed. The
fastest variant of PyTorch is looked for once. Then ours, theirs, ours, theirs: each figure is
the median of the rounds. Needs the standard library alone.
"""
import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def lines(args, command, wrap=True, allow=(0,)):
    """The JSON lines that a command prints."""
    command = (shlex.split(args.wrap) if wrap else []) + command
    print("$ " + " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    out = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for line in out:
        if "value" in line:
            print("  %s: %.5g %s %s" % (line["name"], line["value"], line.get("unit", ""), line.get("variant", line.get("library", ""))),
                  file=sys.stderr, flush=True)
    if done.returncode not in allow:
        sys.exit("%s ended with exit code %d" % (command, done.returncode))
    return out


def figure(out, prefix, threads):
    """The value of the figure of that name on all threads."""
    for line in out:
        if line["type"] == "bench" and line["name"].split(" ")[0] == prefix and line["threads"] == threads:
            return line
    sys.exit("no figure %s on %d threads" % (prefix, threads))


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, unit, ours, theirs, who, of_peak=None, faster_is_more=False):
        a, b = statistics.median(ours), statistics.median(theirs)
        ratio = a / b if faster_is_more else b / a
        self.rows.append((what, spread(ours, unit), spread(theirs, unit), "%.2f" % ratio,
                          "" if of_peak is None else "%.0f %%" % (100 * of_peak), who))
        print("%-28s saint %-34s peer %-34s ratio %5.2f  %s" % (what, spread(ours, unit), spread(theirs, unit), ratio, who), flush=True)

    def markdown(self, head):
        out = head + ["", "| what | saint | peer | ratio | saint, of peak | peer |", "|---|---|---|---|---|---|"]
        return "\n".join(out + ["| %s |" % " | ".join(r) for r in self.rows]) + "\n"


def spread(values, unit):
    text = "%.4g %s" % (statistics.median(values), unit)
    return text + (" (%.4g … %.4g)" % (min(values), max(values)) if len(values) > 1 else "")


def export(args, preset):
    out = os.path.join(args.work, preset)
    if not os.path.exists(out):
        # Under another name until it is whole: an interrupted export would be taken for one.
        part = out + ".part"
        shutil.rmtree(part, ignore_errors=True)
        lines(args, [args.saint, "bench", "export", "--preset", preset, "--out", part, "--count", str(args.count), "--json"], wrap=False)
        os.rename(part, out)
    return out


def peer(args, what, path, *more):
    return [args.python, os.path.join(HERE, "peer_torch.py"), path, "--what", what, "--json", *more]


def steps(args, preset, path, table):
    check = lines(args, peer(args, "losses", path), wrap=False)
    print("%s: %d losses equal" % (preset, sum(c["type"] == "check" for c in check)), file=sys.stderr)
    search = lines(args, peer(args, "step", path, "--compile", "--repeats", "3"))
    variant = search[-1]["variant"]
    ours, theirs, share = [], [], []
    for _ in range(args.rounds):
        f = figure(lines(args, [args.saint, "bench", "step", "--preset", preset, "--repeats", "5", "--json"]), "step/" + preset, args.threads)
        ours.append(f["value"])
        share.append(f["share_of_peak"])
        theirs.append(lines(args, peer(args, "step", path, "--variant", variant, "--repeats", "5"))[-1]["value"])
    table.add("step " + preset, "ms", ours, theirs, "PyTorch: " + variant, statistics.median(share))


def evaluation(args, preset, path, table):
    ours, theirs, share, who = [], [], [], ""
    for _ in range(args.rounds):
        f = figure(lines(args, [args.saint, "bench", "eval", "--preset", preset, "--repeats", "5", "--json"]), "eval/" + preset, args.threads)
        ours.append(f["value"])
        share.append(f["share_of_peak"])
        got = [x for x in lines(args, peer(args, "eval", path, "--repeats", "5")) if x["type"] == "peer"][-1]
        theirs.append(got["value"])
        who = got["variant"]
    table.add("evaluation " + preset, "ms", ours, theirs, "PyTorch: " + who, statistics.median(share))


def scores(args, preset, path, table):
    got = lines(args, peer(args, "train", path), wrap=False, allow=(0, 1))
    for c in got:
        if c["type"] == "check":
            print("%s, %s: peer %.4f, saint %.4f%s" % (preset, c["name"], c["peer"], c["saint"], "" if c["ok"] else ", too far apart"), flush=True)


def samplers(args, preset, path, table):
    ours, share, theirs = {}, {}, {}
    for _ in range(args.rounds):
        for line in lines(args, [args.saint, "bench", "sample", "--preset", preset, "--repeats", "5", "--json"]):
            if line["type"] == "bench" and line["threads"] == args.threads:
                kind = line["name"].split(" ")[1]
                ours.setdefault(kind, []).append(line["value"])
                share.setdefault(kind, []).append(line["share_of_peak"])
        for python, libraries in [(args.python, "vectorised")] + [p.split("=") for p in args.sampler_python]:
            command = [python, os.path.join(HERE, "peer_samplers.py"), path, "--library", libraries, "--json"]
            for line in lines(args, command, allow=range(-64, 256)):  # a peer that fails is left out
                if line["type"] == "missing":
                    print("%s: %s" % (line["library"], line["error"]), file=sys.stderr)
                    continue
                theirs.setdefault(line["name"].split(" ")[1], {}).setdefault(line["library"], []).append(line["value"])
    for kind, values in ours.items():
        for who, other in sorted(theirs.get(kind, {}).items()):
            table.add("sampler %s %s" % (preset, kind), "/s", values, other, who, statistics.median(share[kind]), True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--saint", default="bin/saint")
    p.add_argument("--python", default=sys.executable, help="Python with bench/requirements.txt installed")
    p.add_argument("--sampler_python", action="append", default=[], help="PYTHON=pyg or PYTHON=dgl: one with that library, may be repeated")
    p.add_argument("--presets", default="flickr-like,ppi-like,reddit-like")
    p.add_argument("--what", default="step,eval,sample,scores")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--count", type=int, default=60, help="subgraphs that both sides train on for the scores")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "saint-bench-peer"), help="folder of the exports, kept")
    p.add_argument("--wrap", default="", help="command to put in front of every timed one")
    p.add_argument("--markdown", help="also write the table to this file")
    args = p.parse_args()
    os.makedirs(args.work, exist_ok=True)
    table = Table()
    machine = lines(args, [args.saint, "bench", "gemm", "--shapes", "64x64x64", "--repeats", "1", "--json"], wrap=False)[0]
    versions = [x for x in lines(args, [args.python, os.path.join(HERE, "peer_torch.py"), export(args, args.presets.split(",")[0]),
                                        "--what", "none", "--json"], wrap=False) if x["type"] == "peer_machine"][0]
    for preset in args.presets.split(","):
        path = export(args, preset)
        for what in args.what.split(","):
            {"step": steps, "eval": evaluation, "sample": samplers, "scores": scores}[what](args, preset, path, table)
    if args.markdown:
        head = ["# saint and its peers on %s, %d threads" % (machine["cpu"], args.threads), "",
                "- saint %s %s, %s, %s" % (machine["version"], machine.get("revision", "")[:12], machine["go"], machine["isa"]),
                "- PyTorch %s, %d threads, %s" % (versions["torch"], versions["threads"], versions["capability"]),
                "- medians of %d rounds in turn, least and greatest in brackets; %s" % (args.rounds, machine["date"])]
        with open(args.markdown, "w") as f:
            f.write(table.markdown(head))


if __name__ == "__main__":
    main()
