"""Runs the checks of 'make interop': python check.py FOLDER [SECTION ...].

FOLDER holds the programs saint and interop; what the checks write goes there too. The last line
says how many checks there were and how many failed; the exit code is 1 if any did.
"""

import importlib
import sys
import time
import traceback

SECTIONS = ["arrays", "archives", "sparse", "tensors", "scores", "ogb_table", "folders", "graphsage", "converters", "tables", "batches", "service", "runs", "watched", "ppi"]


def main():
    unknown = set(sys.argv[2:]) - set(SECTIONS)
    if unknown:
        sys.exit(f"interop: no section {', '.join(sorted(unknown))}; there is {', '.join(SECTIONS)}")
    try:
        h = importlib.import_module("checks.harness").Harness(sys.argv[1])
    except ImportError as err:
        sys.exit(f"interop: {err}; tools/interop/requirements.txt lists what is needed")
    for name in sys.argv[2:] or SECTIONS:
        before, start = h.count, time.monotonic()
        h.section = name
        try:
            importlib.import_module("checks." + name).run(h)
        except ImportError as err:
            sys.exit(f"interop: {err}; tools/interop/requirements.txt lists what is needed")
        except Exception:
            h.fail("the section ended early", traceback.format_exc())
        print(f"interop: {name}: {h.count - before} checks, {time.monotonic() - start:.1f} s", flush=True)
    print(f"interop: {h.count} checks, {h.failed} failed")
    return 1 if h.failed else 0


if __name__ == "__main__":
    sys.exit(main())
