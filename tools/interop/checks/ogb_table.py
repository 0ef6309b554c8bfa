"""The benchmark's own table of node property sets against ours."""

import csv
import importlib.util
import os


def run(h):
    # Found, not imported: the package wants PyTorch.
    where = importlib.util.find_spec("ogb").submodule_search_locations[0]
    with open(os.path.join(where, "nodeproppred", "master.csv"), newline="") as f:
        rows = {row[0]: row[1:] for row in csv.reader(f)}
    names = rows.pop("")
    theirs = {name: {key: row[i] for key, row in rows.items()} for i, name in enumerate(names)}
    ours = {s["Name"]: s for s in h.go("ogb.sets")}
    h.equal("sets", sorted(ours), sorted(theirs))
    for name, want in theirs.items():
        got = ours[name]
        multi = want["task type"] == "binary classification"
        h.equal(name + ": split", got["Split"], want["split"])
        h.equal(name + ": add_inverse_edge", got["AddInverse"], want["add_inverse_edge"] == "True")
        h.equal(name + ": is hetero", got["Hetero"], want["is hetero"] == "True")
        h.equal(name + ": has_edge_attr without has_node_attr", got["EdgeFeatures"],
                want["has_edge_attr"] == "True" and want["has_node_attr"] == "False")
        h.equal(name + ": task type", got["MultiLabel"], multi)
        h.equal(name + ": num tasks or classes", got["Labels"], int(want["num tasks" if multi else "num classes"]))
        h.equal(name + ": num classes of a task", multi and want["num classes"] != "2", False)
        h.equal(name + ": eval metric", want["eval metric"], "rocauc" if got["MultiLabel"] else "acc")
        # The benchmark's addresses are the same without encryption. A set that is not converted has none here.
        url = "" if got["Hetero"] else want["url"].replace("http://", "https://")
        h.equal(name + ": url", got["URL"], url)
        h.equal(name + ": download_name", got["URL"].endswith("/" + want["download_name"] + ".zip"), not got["Hetero"])
