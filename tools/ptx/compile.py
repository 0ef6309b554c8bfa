#!/usr/bin/env python3
"""Compiles cuda/kernels/*.cu to PTX with NVRTC, and assembles the PTX to see what it takes.

    compile.py write     write the .ptx files anew, and resources.txt
    compile.py check     fail if a .ptx file or resources.txt is not what would be written

Needs the wheels of tools/ptx/requirements.txt in the Python that runs it; no GPU, no driver.
The first line of every .ptx file has the SHA-256 of its sources, which Go's tests check too.
"""

import ctypes
import hashlib
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

KERNELS = pathlib.Path(__file__).resolve().parents[2] / "cuda" / "kernels"
INCLUDE = re.compile(r'^#include "(\w+\.cuh)"', re.M)
# Turing is the oldest that CUDA 13 still knows; drivers compile the PTX for what they have.
TARGET = "compute_75"
OPTIONS = [f"--gpu-architecture={TARGET}", "--std=c++17", "--fmad=false", "--device-as-default-execution-space"]
# What the PTX is assembled for: Turing, Ampere, Ada, Hopper.
ARCHITECTURES = ["sm_75", "sm_80", "sm_89", "sm_90"]


def package(name):
    spec = importlib.util.find_spec("nvidia." + name)
    if spec is None:
        sys.exit(f"nvidia.{name} is missing: pip install -r tools/ptx/requirements.txt")
    return pathlib.Path(list(spec.submodule_search_locations)[0])


class Compiler:
    """NVRTC through ctypes."""

    def __init__(self):
        folder = package("cuda_nvrtc") / "lib"
        self.lib = ctypes.CDLL(str(next(folder.glob("libnvrtc.so.*"))))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.check(self.lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        self.version = f"{major.value}.{minor.value}"

    def check(self, code, log=""):
        if code:
            self.lib.nvrtcGetErrorString.restype = ctypes.c_char_p
            sys.exit(f"nvrtc: {self.lib.nvrtcGetErrorString(code).decode()}\n{log}")

    def text(self, size_of, get, program):
        size = ctypes.c_size_t()
        self.check(size_of(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self.check(get(program, buffer))
        return buffer.value.decode()

    def compile(self, source, name, headers):
        program = ctypes.c_void_p()
        texts = (ctypes.c_char_p * len(headers))(*[t.encode() for t in headers.values()])
        names = (ctypes.c_char_p * len(headers))(*[n.encode() for n in headers])
        self.check(self.lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), len(headers), texts, names))
        options = (ctypes.c_char_p * len(OPTIONS))(*[o.encode() for o in OPTIONS])
        code = self.lib.nvrtcCompileProgram(program, len(OPTIONS), options)
        log = self.text(self.lib.nvrtcGetProgramLogSize, self.lib.nvrtcGetProgramLog, program)
        self.check(code, log)
        if log.strip():
            print(log.strip(), file=sys.stderr)
        ptx = self.text(self.lib.nvrtcGetPTXSize, self.lib.nvrtcGetPTX, program)
        self.lib.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx


def tidy(ptx):
    """Leaves out comments, blank lines, and constants of NVRTC's own header that nothing refers to."""
    lines = [line.split("//")[0].rstrip() for line in ptx.splitlines()]
    lines = [line for line in lines if line and not re.match(r"\.global .*_INTERNAL_\w*nv6target", line)]
    text = "\n".join(lines) + "\n"
    if "nv6target" in text:
        sys.exit("a constant of NVRTC's header is used after all")
    return text


def build():
    compiler = Compiler()
    headers = {path.name: path.read_text() for path in sorted(KERNELS.glob("*.cuh"))}
    files = {}
    for path in sorted(KERNELS.glob("*.cu")):
        source = path.read_text()
        used = "".join(headers[name] for name in INCLUDE.findall(source))
        digest = hashlib.sha256((used + source).encode()).hexdigest()
        ptx = tidy(compiler.compile(source, path.name, headers))
        files[path.with_suffix(".ptx").name] = f"// sources sha256 {digest}\n{ptx}"
    files["resources.txt"] = resources(files)
    return files


REPORT = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def resources(files):
    """What ptxas says of each kernel: registers a thread on each architecture, spills, shared memory."""
    assembler = package("cuda_nvcc") / "bin" / "ptxas"
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, ptx in files.items():
            path = pathlib.Path(folder) / name
            path.write_text(ptx)
            for arch in ARCHITECTURES:
                out = subprocess.run([assembler, "-v", f"-arch={arch}", "-o", "/dev/null", path], capture_output=True, text=True)
                if out.returncode:
                    sys.exit(f"ptxas -arch={arch} {name}:\n{out.stderr}")
                read(name.removesuffix(".ptx"), arch, out.stderr, table)
    lines = ["# What ptxas makes of the kernels: registers a thread by architecture, bytes of static shared memory, bytes spilled.",
             f"{'file':10} {'kernel':24} " + " ".join(f"{a:>6}" for a in ARCHITECTURES) + "  shared  spills"]
    for (file, kernel), row in sorted(table.items()):
        registers = " ".join(f"{row[a]:>6}" for a in ARCHITECTURES)
        lines.append(f"{file:10} {kernel:24} {registers}  {row['shared']:>6}  {row['spills']:>6}")
    return "\n".join(lines) + "\n"


def read(file, arch, report, table):
    row = None
    for line in report.splitlines():
        if m := REPORT.search(line):
            row = table.setdefault((file, m[1]), {"shared": 0, "spills": 0})
        if m := SPILLS.search(line):
            row["spills"] = max(row["spills"], int(m[2]) + int(m[3]))
        if m := USED.search(line):
            row[arch] = int(m[1])
            if m := SHARED.search(line):
                row["shared"] = max(row["shared"], int(m[1]))


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in ("write", "check"):
        sys.exit(__doc__)
    files = build()
    stale = []
    for name, text in files.items():
        path = KERNELS / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if sys.argv[1] == "write":
            path.write_text(text)
    print(files["resources.txt"], end="")
    if sys.argv[1] == "check" and stale:
        sys.exit("not what 'make ptx' writes: " + ", ".join(stale))


if __name__ == "__main__":
    main()
