"""Single arrays: .npy files of every type, order, byte order and version of the format."""

import io
import os

import numpy as np

from .harness import DTYPES, Refused, converted, overwrite, pack, tame, unpack, values

SHAPES = [(), (0,), (1,), (37,), (5, 3), (40, 33), (0, 4), (3, 0), (2, 3, 4)]
ACCESSORS = ["bool", "uint8", "int32", "int64", "float32", "float64"]


def write_array(path, a, version):
    with open(path, "wb") as f:
        np.lib.format.write_array(f, a, version=(version, 0))


def read_theirs(h, rng):
    for dtype in DTYPES:
        for shape in SHAPES:
            for make in (values, tame):
                flat = make(dtype, int(np.prod(shape, dtype=int)), rng)
                for order in "CF":
                    for byte_order in "<>":
                        version = 1 + h.made % 3
                        a = np.asarray(flat.reshape(shape), order=order)
                        a = a.astype(a.dtype.newbyteorder(byte_order), order=order)
                        read_array(h, a, version, f"{make.__name__} {a.dtype.str} {shape} {order} version {version}")


def read_array(h, a, version, what):
    path = h.path(".npy")
    write_array(path, a, version)
    head = h.go("npy.read", path=path, **{"as": "header"})
    swapped = a.dtype.byteorder == ">" and a.dtype.itemsize > 1
    fortran = a.flags.f_contiguous and not a.flags.c_contiguous
    want = {"dtype": a.dtype.name, "shape": list(a.shape), "fortran": fortran, "big": swapped, "version": version}
    h.equal(what + ": header", head, want)
    native = a.astype(a.dtype.newbyteorder("="))
    for name in ACCESSORS:
        expect = converted(native, name)
        if expect is None:
            h.refused(f"{what} as {name}", lambda: h.array("npy.read", path=path, **{"as": name}), path)
        else:
            h.equal(f"{what} as {name}", h.array("npy.read", path=path, **{"as": name}), expect)
    # Streams hand out the elements in the order of the file, all but the first.
    order = "F" if fortran else "C"
    in_file = converted(native, "float32").ravel(order=order)[1:]
    h.equal(what + ": stream", h.array("npy.stream", path=path, **{"as": "float32"}), in_file)
    as_int32 = converted(native.ravel(order=order)[1:], "int32")
    if as_int32 is None:
        h.refused(what + ": stream as int32", lambda: h.array("npy.stream", path=path, **{"as": "int32"}), path)
    else:
        h.equal(what + ": stream as int32", h.array("npy.stream", path=path, **{"as": "int32"}), as_int32)
    if a.ndim == 2:
        read_rows(h, path, native, swapped or fortran, what)
    os.remove(path)


def read_rows(h, path, a, copied, what):
    expect = converted(a, "float32")
    got = h.go("npy.rows", path=path)
    h.equal(what + ": rows", unpack(got["rows"]), expect)
    h.equal(what + ": rows by id", unpack(got["reversed"]), expect[::-1])
    if got["mapped"] is not None:
        h.equal(what + ": mapped", unpack(got["mapped"]), expect)
    h.equal(what + ": is mapped", got["mapped"] is not None, a.dtype == np.float32 and not copied)


def read_text(h):
    texts = {
        "unicode": np.array(["csr", "", "ä€𝄞", "a b"]),
        "bytes": np.array([b"csr", b"", b"ab"]),
        "scalar": np.array("csr"),
        "scalar bytes": np.array(b"csr"),
        "none": np.array([], dtype="U3"),
    }
    for name, a in texts.items():
        for byte_order in "<>":
            for version in (1, 2, 3):
                path = h.path(".npy")
                write_array(path, a.astype(a.dtype.newbyteorder(byte_order)), version)
                want = [x.decode() if isinstance(x, bytes) else str(x) for x in a.ravel().tolist()]
                h.equal(f"text {name} {byte_order} version {version}", h.go("npy.read", path=path, **{"as": "text"}), want)
                h.refused(f"text {name} as numbers", lambda: h.array("npy.read", path=path, **{"as": "float32"}), path)


def refuse(h):
    bad = {
        "complex64": np.zeros(3, "complex64"),
        "complex128": np.zeros(3, "complex128"),
        "longdouble": np.zeros(3, "longdouble"),
        "datetime64": np.zeros(3, "datetime64[s]"),
        "timedelta64": np.zeros(3, "timedelta64[D]"),
        "object": np.array([1, None], dtype=object),
        "structured": np.zeros(3, [("a", "i4"), ("b", "f4")]),
        "void": np.zeros(3, "V4"),
    }
    for name, a in bad.items():
        path = h.path(".npy")
        np.save(path, a, allow_pickle=True)
        for op in ("npy.read", "npy.rows", "npy.stream"):
            h.refused(f"{name} by {op}", lambda: h.go(op, path=path, **{"as": "float32"}), path, "descr")
    for what, text in {"an empty file": b"", "a zip archive": b"PK\x03\x04" + bytes(60), "a pickle": b"\x80\x04N."}.items():
        path = h.path(".npy")
        overwrite(path, text)
        h.refused(what, lambda: h.go("npy.read", path=path, **{"as": "float32"}), path)


def damage(h, rng):
    """Truncated anywhere a file is refused; with a bit of the header flipped it is refused or means
    to us what it means to NumPy."""
    a = rng.standard_normal((3, 4)).astype("float32")
    buffer = io.BytesIO()
    np.save(buffer, a)
    whole, path = buffer.getvalue(), h.path(".npy")

    def read(content):
        overwrite(path, content)
        return h.go("npy.read", path=path, **{"as": "header"})

    for length in range(len(whole)):
        h.refused(f"truncated after {length} bytes", lambda: read(whole[:length]), path)
    h.refused("a byte too many", lambda: read(whole + b"\0"), path)
    for bit in range(8 * (len(whole) - a.nbytes)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        try:
            got = read(content)
        except Refused as err:
            h.true(f"bit {bit} flipped", err.status == 3, str(err))
            continue
        try:
            theirs = np.load(path, allow_pickle=False)
            swapped = theirs.dtype.byteorder == ">"
            want = {"dtype": theirs.dtype.name, "shape": list(theirs.shape), "big": swapped}
        except ValueError as err:
            want = str(err)
        h.equal(f"bit {bit} flipped", {k: got[k] for k in ("dtype", "shape", "big")}, want)


def old_headers(h):
    """What Python 2 and other programs write."""
    for text in [
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2L, 3L), }",
        "{'shape': (2, 3), 'fortran_order': False, 'descr': '<i4'}",
        '{"descr": "<i4", "fortran_order": False, "shape": (2, 3)}',
        "{'descr': '=i4', 'fortran_order': False, 'shape': (2, 3,), }",
        "{'descr': 'i4', 'fortran_order': False, 'shape': (2, 3), }  \n \n",
    ]:
        path = h.path(".npy")
        with open(path, "wb") as f:
            f.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
            f.write(np.arange(6, dtype="<i4").tobytes())
        h.equal(text, h.array("npy.read", path=path, **{"as": "int32"}), np.arange(6, dtype="int32").reshape(2, 3))


def write_ours(h, rng):
    for dtype in DTYPES:
        for shape in SHAPES:
            a = values(dtype, int(np.prod(shape, dtype=int)), rng).reshape(shape)
            path = h.path(".npy")
            h.go("npy.write", path=path, array=pack(a))
            what = f"written {dtype} {shape}"
            h.equal(what, np.load(path, allow_pickle=False), a)
            if a.size:
                h.equal(what + ": mapped", np.array(np.load(path, mmap_mode="r")), a)
            theirs = io.BytesIO()
            np.save(theirs, a)
            with open(path, "rb") as f:
                h.equal(what + ": bytes as NumPy's", f.read(), theirs.getvalue())
    path = h.path(".npy")
    h.go("npy.write", path=path, array=pack(b"csr"))
    h.equal("written text", np.load(path), np.array(b"csr"))


def run(h):
    rng = np.random.default_rng(1)
    read_theirs(h, rng)
    read_text(h)
    refuse(h)
    damage(h, rng)
    old_headers(h)
    write_ours(h, rng)
