"""Tensors: safetensors files of every type."""

import base64
import json
import struct

import numpy as np
import safetensors
import safetensors.numpy

from .harness import Refused, overwrite, unpack, values

# The library's name when writing, the format's name, NumPy's name where it has the type.
TYPES = [
    ("bool", "BOOL", "bool"), ("uint8", "U8", "uint8"), ("int8", "I8", "int8"), ("uint16", "U16", "uint16"),
    ("int16", "I16", "int16"), ("uint32", "U32", "uint32"), ("int32", "I32", "int32"), ("uint64", "U64", "uint64"),
    ("int64", "I64", "int64"), ("float16", "F16", "float16"), ("float32", "F32", "float32"),
    ("float64", "F64", "float64"), ("bfloat16", "BF16", None), ("float8_e4m3fn", "F8_E4M3", None),
    ("float8_e5m2", "F8_E5M2", None),
]
WIDTH = {"BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
SHAPES = [(), (0,), (3,), (4, 5), (2, 0, 3), (2, 3, 4)]
# Accessors by the types that they take.
TAKES = {
    "float32": ("F32", "F16", "BF16", "F64"), "float64": ("F64", "F32"), "int32": ("I32",), "int64": ("I64", "I32"),
    "uint64": ("U64",), "uint8": ("U8", "BOOL"),
}


def content(rng):
    """name: (library's type, format's type, shape, bytes, NumPy array or None)."""
    out = {}
    for library, name, numpy in TYPES:
        for shape in SHAPES:
            count = int(np.prod(shape, dtype=int))
            a = values(numpy, count, rng).reshape(shape) if numpy else None
            data = a.tobytes() if numpy else rng.bytes(count * WIDTH[name])
            out[f"{name} {shape} ä\"\\"] = (library, name, shape, data, a)
    return out


def widened(name, data, a, accessor):
    if name == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore"):
        return a.astype(accessor).ravel()


def read_theirs(h, tensors):
    metadata = {"format": "pt", "ä": "\u2028 \" \\ \n", "": ""}
    for meta in (metadata, None):
        path = h.path(".safetensors")
        blob = safetensors.serialize({k: {"dtype": t[0], "shape": t[2], "data": t[3]} for k, t in tensors.items()}, meta)
        overwrite(path, blob)
        got = h.go("safetensors.read", path=path)
        h.equal("metadata", got["metadata"] or None, meta)
        h.equal("names", [t["name"] for t in got["tensors"]], sorted(tensors, key=lambda s: s.encode()))
        for t in got["tensors"]:
            _, name, shape, data, a = tensors[t["name"]]
            what = f"{name} {shape}"
            h.equal(what + ": type", (t["dtype"], tuple(t["shape"])), (name, shape))
            h.equal(what + ": bytes", base64.b64decode(t["data"]), data)
            for accessor, types in TAKES.items():
                h.equal(f"{what}: taken by {accessor}", accessor in (t.get("values") or {}), name in types)
                if name in types:
                    h.equal(f"{what} as {accessor}", unpack(t["values"][accessor]).ravel(), widened(name, data, a, accessor))


def write_ours(h, tensors):
    metadata = {"saint.format": "1", "ä": "\u2028 \" \\ \n"}
    path = h.path(".safetensors")
    h.go("safetensors.write", path=path, metadata=metadata, tensors=[
        {"name": k, "dtype": t[1], "shape": list(t[2]), "data": base64.b64encode(t[3]).decode()} for k, t in tensors.items()
    ])
    with open(path, "rb") as f:
        blob = f.read()
    got = dict(safetensors.deserialize(blob))
    h.equal("written: names", sorted(got), sorted(tensors))
    for key, (_, name, shape, data, _) in tensors.items():
        t = got[key]
        h.equal(f"written {name} {shape}", (t["dtype"], tuple(t["shape"]), bytes(t["data"])), (name, shape, data))
    with safetensors.safe_open(path, framework="numpy") as f:
        h.equal("written: metadata", f.metadata(), metadata)
        for key, (_, name, shape, _, a) in tensors.items():
            if a is not None:
                h.equal(f"written {name} {shape}, opened", f.get_tensor(key), a)
                if a.ndim == 2:
                    h.equal(f"written {name} {shape}, sliced", f.get_slice(key)[1:3, ::], a[1:3])
    data = 8 + struct.unpack("<Q", blob[:8])[0]
    h.equal("written: data begin at a multiple of 8", data % 8, 0)
    for key, t in json.loads(blob[8:data]).items():
        if key != "__metadata__" and tensors[key][4] is not None:
            start = t["data_offsets"][0]
            h.equal(f"written {key}: aligned", start % tensors[key][4].dtype.itemsize, 0)


def refuse(h):
    for library in ("float8_e8m0fnu", "float4_e2m1fn_x2"):
        path = h.path(".safetensors")
        overwrite(path, safetensors.serialize({"a": {"dtype": library, "shape": [4], "data": bytes(4)}}))
        h.refused(library, lambda: h.go("safetensors.read", path=path), path, "not supported")


def damage(h, rng):
    """What the library refuses we refuse; what both accept holds the same."""
    small = {"a": rng.standard_normal((2, 3)).astype("float32"), "b": np.arange(4)}
    whole, path = safetensors.numpy.save(small, {"k": "v"}), h.path(".safetensors")
    header = 8 + struct.unpack("<Q", whole[:8])[0]

    def ours(content):
        overwrite(path, content)
        got = h.go("safetensors.read", path=path)
        return sorted((t["name"], t["dtype"], tuple(t["shape"]), base64.b64decode(t["data"])) for t in got["tensors"])

    def theirs(content):
        try:
            return sorted((k, t["dtype"], tuple(t["shape"]), bytes(t["data"])) for k, t in safetensors.deserialize(bytes(content)))
        except Exception as err:
            return f"refused: {err}"

    h.equal("undamaged", ours(whole), theirs(whole))
    for length in range(len(whole)):
        h.refused(f"truncated after {length} bytes", lambda: ours(whole[:length]), path)
    h.refused("a byte too many", lambda: ours(whole + b"\0"), path)
    for bit in range(8 * header):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        try:
            h.equal(f"bit {bit} flipped", ours(content), theirs(content))
        except Refused as err:
            h.true(f"bit {bit} flipped", err.status == 3, str(err))


def run(h):
    rng = np.random.default_rng(4)
    tensors = content(rng)
    read_theirs(h, tensors)
    write_ours(h, tensors)
    refuse(h)
    damage(h, rng)
