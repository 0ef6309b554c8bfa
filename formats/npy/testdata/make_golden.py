"""Writes the reference arrays of the npy tests. Needs NumPy; run it in this folder."""

import numpy as np

TYPES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]


def values(kind, shape):
    n = int(np.prod(shape))
    if kind == "b":
        x = np.arange(n) % 3 == 0
    elif kind == "u":
        x = np.arange(n) * 7
    elif kind == "i":
        x = np.arange(n) * 7 - 40
    else:
        x = np.arange(n) * 0.25 - 1.5
    return x.reshape(shape)


for t in TYPES:
    for order in "<>" if int(t[1]) > 1 else "|":
        for layout in "CF":
            a = np.array(values(t[0], (5, 3)), dtype=order + t, order=layout)
            name = f"{t}_{'be' if order == '>' else 'le'}_{layout}.npy"
            np.save(name, a)

np.save("scalar.npy", np.float32(2.5))
np.save("vector.npy", np.arange(7, dtype=np.int64))
np.save("empty.npy", np.zeros((0, 4), dtype=np.float32))
np.save("cube_F.npy", np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4)))
np.save("bytes.npy", np.array(b"csr"))
np.save("unicode.npy", np.array("csr"))
np.save("unicode_be.npy", np.array(["a", "héé"], dtype=">U3"))
np.save("half.npy", np.array([0, -0.0, 1, 65504, 6e-8, -6.1e-5, np.inf, -np.inf, 1 / 3], dtype=np.float16))
for version in [(2, 0), (3, 0)]:
    with open(f"version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(6, dtype=np.float64).reshape(2, 3), version=version)
