"""What all checks need: counting, our programs, comparisons."""

import base64
import json
import os
import subprocess

import numpy as np

MOST_SHOWN = 40


class Refused(Exception):
    """One of our programs refused; status is the exit code of saint, or 3 for bad input."""

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


class Harness:
    def __init__(self, folder):
        self.folder = folder
        self.section = ""
        self.count = 0
        self.failed = 0
        self.made = 0
        self.saint_path = os.path.join(folder, "saint")
        self.helper = subprocess.Popen(
            [os.path.join(folder, "interop")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    # Counting.

    def fail(self, what, detail=""):
        self.failed += 1
        if self.failed <= MOST_SHOWN:
            print(f"FAIL {self.section}: {what}: {detail}", flush=True)

    def true(self, what, ok, detail=""):
        self.count += 1
        if not ok:
            self.fail(what, detail)
        return ok

    def equal(self, what, got, want):
        """Arrays are equal in type, shape and every bit, but for the bits of a NaN."""
        if isinstance(want, (np.ndarray, np.generic)) or isinstance(got, (np.ndarray, np.generic)):
            return self.true(what, same(np.asarray(got), np.asarray(want)), f"got {brief(got)}, want {brief(want)}")
        return self.true(what, got == want, f"got {brief(got)}, want {brief(want)}")

    def close(self, what, got, want, tolerance):
        if got is None or want is None:
            return self.true(what, got is want, f"got {brief(got)}, want {brief(want)}")
        got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
        ok = got.shape == want.shape and bool(np.all(np.abs(got - want) <= tolerance))
        return self.true(what, ok, f"got {brief(got)}, want {brief(want)} within {tolerance}")

    def refused(self, what, call, *words, status=3):
        """call must be refused as bad input, in one line that has the words."""
        try:
            got = call()
        except Refused as err:
            text = str(err)
            ok = err.status == status and "\n" not in text.strip() and all(w in text for w in words)
            return self.true(what, ok, f"refused with status {err.status}: {text!r}, want status {status} and {words}")
        return self.true(what, False, f"accepted as {str(got)[:300]}, want a refusal")

    # Our programs.

    def path(self, suffix=""):
        """A new path in the folder of this run."""
        self.made += 1
        return os.path.join(self.folder, f"{self.made}{suffix}")

    def go(self, op, **args):
        """Asks the program built of this folder's Go files."""
        self.helper.stdin.write(json.dumps({"op": op, "args": args}) + "\n")
        self.helper.stdin.flush()
        line = self.helper.stdout.readline()
        if not line:
            raise RuntimeError(f"{op}: the helper ended")
        answer = json.loads(line)
        if answer.get("error"):
            if answer.get("panic"):
                raise RuntimeError(f"{op}: {answer['error']}")
            raise Refused(answer["error"], 3 if answer.get("input") else 1)
        return answer.get("result")

    def saint(self, *args):
        """Runs saint and returns its lines of JSON and the text of standard error."""
        run = subprocess.run(
            [self.saint_path, *map(str, args), "--json"], capture_output=True, text=True, timeout=120, check=False
        )
        if run.returncode:
            lines = [line for line in run.stderr.splitlines() if line.startswith("saint: ")]
            raise Refused("\n".join(lines) or run.stderr, run.returncode)
        return [json.loads(line) for line in run.stdout.splitlines()], run.stderr

    def array(self, op, **args):
        return unpack(self.go(op, **args))


def brief(x):
    text = repr(x)
    return text if len(text) < 300 else text[:300] + "…"


def same(got, want):
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    if want.dtype.kind in "fc":
        bits = f"u{want.dtype.itemsize}"
        equal = np.ascontiguousarray(got).view(bits) == np.ascontiguousarray(want).view(bits)
        return bool(np.all(equal | (np.isnan(got) & np.isnan(want))))
    return bool(np.array_equal(got, want))


def overwrite(path, content):
    """Writes a file anew; emptying one that is there is slow on some file systems."""
    if os.path.exists(path):
        os.remove(path)
    with open(path, "wb") as f:
        f.write(content)


def unpack(a):
    return np.frombuffer(base64.b64decode(a["data"]), dtype=a["dtype"]).reshape(a["shape"])


def pack(a, name=""):
    """What the helper takes for an array."""
    if isinstance(a, bytes):
        return {"name": name, "dtype": "bytes", "shape": [], "data": base64.b64encode(a).decode()}
    a = np.asarray(a)
    data = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes()
    return {"name": name, "dtype": a.dtype.name, "shape": list(a.shape), "data": base64.b64encode(data).decode()}


INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
DTYPES = ["bool", *INTEGERS, *FLOATS]


def values(dtype, count, rng):
    """count values of a type with its extremes among them."""
    if dtype == "bool":
        return rng.integers(0, 2, count).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        a = rng.integers(info.min, info.max, count, dtype=dtype, endpoint=True)
        special = [info.min, info.max, 0, 1, info.max - 1, info.max // 2]
    else:
        info = np.finfo(dtype)
        with np.errstate(over="ignore"):
            a = rng.standard_normal(count).astype(dtype)
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.min, info.tiny, info.smallest_subnormal, 1.5]
    for i, x in enumerate(special[:count]):
        a[i] = x
    return rng.permutation(a)


def tame(dtype, count, rng):
    """Whole numbers that every type holds."""
    return rng.integers(0, 2 if dtype == "bool" else 100, count).astype(dtype)


def converted(a, name):
    """What an accessor of a Go type must return for an array: None if it has to refuse."""
    if name in ("float32", "float64"):
        with np.errstate(over="ignore"):
            return a.astype(name)
    if a.dtype.kind == "f" and not np.all(np.isfinite(a) & (np.floor(a) == a)):
        return None
    whole = [int(x) for x in a.ravel()]
    low, high = (0, 1) if name == "bool" else (np.iinfo(name).min, np.iinfo(name).max)
    if any(not low <= x <= high for x in whole):
        return None
    return np.array(whole, dtype=name).reshape(a.shape)
