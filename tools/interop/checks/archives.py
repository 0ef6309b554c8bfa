"""Archives of arrays: .npz files, stored and deflated, with 32-bit and 64-bit sizes."""

import io
import zipfile
from unittest import mock

import numpy as np

from .harness import DTYPES, Refused, converted, overwrite, pack, values


def content(rng):
    arrays = {}
    for dtype in DTYPES:
        a = values(dtype, 60, rng)
        arrays[dtype] = a.reshape(12, 5)
        arrays[dtype + "_fortran"] = np.asfortranarray(a.reshape(3, 4, 5))
        arrays[dtype + "_big"] = a.astype(a.dtype.newbyteorder(">"))
    arrays["scalar"] = np.array(7)
    arrays["empty"] = np.zeros((0, 3))
    arrays["large"] = np.repeat(rng.integers(0, 9, 200), 300).astype("int32")
    return arrays


class Unseekable(io.RawIOBase):
    """A pipe: zipfile writes sizes behind the members."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def writable(self):
        return True

    def write(self, b):
        return self.f.write(b)


def archives(arrays):
    """Yields archives of the arrays in every form: name, function that writes to a path."""
    yield "savez", lambda path: np.savez(path, **arrays)
    yield "savez_compressed", lambda path: np.savez_compressed(path, **arrays)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for limit in (None, 1):
            for suffix in ("", ".npy"):
                for pipe in (False, True):
                    def write(path, method=method, limit=limit, suffix=suffix, pipe=pipe):
                        with open(path, "wb") as f, mock.patch.multiple(
                            zipfile, ZIP64_LIMIT=limit or zipfile.ZIP64_LIMIT, ZIP_FILECOUNT_LIMIT=limit or 65535
                        ):
                            with zipfile.ZipFile(Unseekable(f) if pipe else f, "w", method) as z:
                                for name, a in arrays.items():
                                    b = io.BytesIO()
                                    np.save(b, a)
                                    with z.open(name + suffix, "w", force_zip64=limit is not None) as m:
                                        m.write(b.getvalue())
                    yield f"method {method}, zip64 {limit is not None}, suffix {suffix!r}, pipe {pipe}", write


def read_theirs(h, arrays):
    for what, write in archives(arrays):
        path = h.path(".npz")
        write(path)
        with zipfile.ZipFile(path) as z:
            h.equal(what + ": sound", z.testzip(), None)
        h.equal(what + ": names", h.go("npz.names", path=path), list(arrays))
        for name, a in arrays.items():
            native = a.astype(a.dtype.newbyteorder("="))
            expect = converted(native, "float64")
            h.equal(f"{what}: {name}", h.array("npz.read", path=path, name=name, **{"as": "float64"}), expect)
            order = "F" if a.flags.f_contiguous and not a.flags.c_contiguous else "C"
            expect = converted(native, "float32").ravel(order=order)[1:]
            h.equal(f"{what}: {name} streamed", h.array("npz.stream", path=path, name=name, **{"as": "float32"}), expect)


def refuse(h):
    a = np.arange(1000)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = h.path(".npz")
        b = io.BytesIO()
        np.save(b, a)
        with zipfile.ZipFile(path, "w", method) as z:
            z.writestr("a.npy", b.getvalue())
        h.refused(f"method {method}", lambda: h.go("npz.read", path=path, name="a", **{"as": "int64"}), path, "compression")
    path = h.path(".npz")
    np.savez(path, a=np.array([None], dtype=object), b=a)
    h.refused("objects", lambda: h.go("npz.read", path=path, name="a", **{"as": "int64"}), path, "descr")
    h.refused("a missing array", lambda: h.go("npz.read", path=path, name="c", **{"as": "int64"}), path, "missing")
    h.equal("the array beside it", h.array("npz.read", path=path, name="b", **{"as": "int64"}), a)
    path = h.path(".npz")
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a.npy", "this is no array")
    h.refused("text", lambda: h.go("npz.read", path=path, name="a", **{"as": "int64"}), path)
    path = h.path(".npz")
    with mock.patch("warnings.warn"), zipfile.ZipFile(path, "w") as z:
        z.writestr("a.npy", b.getvalue())
        z.writestr("a.npy", b.getvalue())
    h.refused("a name twice", lambda: h.go("npz.names", path=path), path, "twice")


def damage(h, rng):
    """Truncated anywhere an archive is refused; with a bit flipped it is refused, lacks the array
    under its name or holds the same values, which a checksum guards."""
    a = rng.integers(0, 50, 40)
    for compress in (False, True):
        b = io.BytesIO()
        (np.savez_compressed if compress else np.savez)(b, a=a)
        whole, path = b.getvalue(), h.path(".npz")

        def read(content):
            overwrite(path, content)
            return h.array("npz.read", path=path, name="a", **{"as": "int64"})

        h.equal("undamaged", read(whole), a)
        for length in range(len(whole)):
            h.refused(f"compressed {compress}, truncated after {length} bytes", lambda: read(whole[:length]), path)
        for bit in range(8 * len(whole)):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            try:
                h.equal(f"compressed {compress}, bit {bit} flipped", read(damaged), a)
            except Refused as err:
                h.true(f"compressed {compress}, bit {bit} flipped", err.status == 3, str(err))


def write_ours(h, arrays):
    native = {k: np.ascontiguousarray(a).astype(a.dtype.newbyteorder("=")).reshape(a.shape) for k, a in arrays.items()}
    for compress in (False, True):
        path = h.path(".npz")
        h.go("npz.write", path=path, compress=compress, arrays=[pack(a, k) for k, a in native.items()])
        with zipfile.ZipFile(path) as z:
            h.equal(f"written, compressed {compress}: sound", z.testzip(), None)
        with np.load(path, allow_pickle=False) as z:
            h.equal(f"written, compressed {compress}: names", z.files, list(native))
            for name, a in native.items():
                h.equal(f"written, compressed {compress}: {name}", z[name], a)


def run(h):
    rng = np.random.default_rng(2)
    arrays = content(rng)
    read_theirs(h, arrays)
    refuse(h)
    damage(h, rng)
    write_ours(h, arrays)
