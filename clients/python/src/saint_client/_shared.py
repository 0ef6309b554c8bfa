"""Batches through memory that a server on the same machine shares."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import mmap
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from ._errors import MismatchError

_ROOT, _PREFIX = "/dev/shm", "saint-"  # nothing else is opened on a server's word
_MOST_SLOTS = 256


class NoSharingError(Exception):
    """The stream must go over the network."""


def possible(host: str) -> bool:
    """Whether a host is this machine, and of a kind that shares memory."""
    name = host.rpartition(":")[0].strip("[]")
    try:
        here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        here = name == "localhost"
    return here and sys.platform.startswith("linux")


def read(client: flight.FlightClient, ticket: bytes, options: flight.FlightCallOptions) -> Iterator[pa.Schema | pa.RecordBatch]:
    """Yields the schema of a stream, and then its records as views of shared memory.

    A record's memory is the server's again when nobody holds it or a part of it any more.
    """
    try:
        results = iter(client.do_action(flight.Action("shm", ticket), options=options))
        offer = _object(next(results))
    except pa.ArrowNotImplementedError:
        raise NoSharingError from None
    except pa.ArrowInvalid as err:
        if "precondition failed" in str(err).split(",")[0]:
            raise NoSharingError from None
        raise
    except StopIteration:
        raise MismatchError("shared memory: the server offered none") from None
    try:
        schema = pa.ipc.read_schema(_message(base64.b64decode(offer["schema"], validate=True)))
        ring = _Ring(str(offer["folder"]), int(offer["slots"]))
    except (KeyError, TypeError, ValueError, OSError, binascii.Error) as err:
        raise MismatchError(f"shared memory: {err}") from None
    yield schema
    for result in results:
        at = _object(result)
        try:
            memory = ring.take(int(at["slot"]), int(at["bytes"]))
        except (KeyError, TypeError, ValueError, OSError) as err:
            raise MismatchError(f"shared memory: {err}") from None
        try:
            with pa.ipc.open_file(memory) as file:
                if file.num_record_batches != 1 or not file.schema.equals(schema.remove_metadata()):
                    raise MismatchError("shared memory: a slot does not hold one record of the stream")
                record = file.get_batch(0)
        except (pa.ArrowException, OSError) as err:
            raise MismatchError(f"shared memory: {err}") from None
        del memory  # a batch that nobody holds shall give its slot back
        yield record
        del record


def _message(header: bytes) -> pa.Buffer:
    """The schema message as it stands in a stream: with a mark and the length before it."""
    padded = header + bytes(-len(header) % 8)
    return pa.py_buffer(b"\xff\xff\xff\xff" + len(padded).to_bytes(4, "little") + padded)


def _object(result: flight.Result) -> dict[str, Any]:
    try:
        return dict(json.loads(result.body.to_pybytes()))
    except (ValueError, TypeError):
        raise MismatchError("shared memory: a result is not a JSON object") from None


class _Ring:
    """The files of a ring. Records of it keep it alive."""

    def __init__(self, folder: str, slots: int) -> None:
        self.control = -1
        self.slots: list[int] = []
        if os.path.dirname(folder) != _ROOT or not os.path.basename(folder).startswith(_PREFIX) or not 1 <= slots <= _MOST_SLOTS:
            raise NoSharingError
        self.taken = [False] * slots
        self.maps: list[mmap.mmap | None] = [None] * slots
        try:
            self.control = _open(os.path.join(folder, "control"), os.O_RDWR)
            for k in range(slots):
                self.slots.append(_open(os.path.join(folder, f"slot-{k}"), os.O_RDONLY))
            os.pwrite(self.control, b"\x01", 0)
        except OSError:
            raise NoSharingError from None

    def take(self, k: int, n: int) -> pa.Buffer:
        """The first n bytes of a slot that the server has filled."""
        if not 0 <= k < len(self.slots) or self.taken[k]:
            raise ValueError(f"slot {k} is not free")
        mapped = self.maps[k]
        if mapped is None or len(mapped) < n:
            size = os.fstat(self.slots[k]).st_size
            if not 0 < n <= size:
                raise ValueError(f"slot {k} has {size} bytes, want {n}")
            mapped = self.maps[k] = mmap.mmap(self.slots[k], size, prot=mmap.PROT_READ)
        self.taken[k] = True
        lease = _Lease(self, k, mapped)
        if not all(self.taken):
            return pa.foreign_buffer(lease.memory.address, n, base=lease)
        # The consumer keeps what it got: the last slot is copied, or the server could not go on.
        copy = pa.allocate_buffer(n)
        memoryview(copy)[:] = memoryview(lease.memory)[:n]
        return copy

    def put(self, k: int) -> None:
        """Gives a slot back. Any thread may do so at any time."""
        self.taken[k] = False
        try:
            os.pwrite(self.control, b"\x00", 1 + k)
        except OSError:
            pass  # a server that is gone needs it no more

    def __del__(self) -> None:
        for fd in [self.control, *self.slots]:
            if fd >= 0:
                os.close(fd)


class _Lease:
    """A slot as long as somebody looks at it."""

    def __init__(self, ring: _Ring, k: int, mapped: mmap.mmap) -> None:
        self.ring, self.k, self.memory = ring, k, pa.py_buffer(mapped)

    def __del__(self) -> None:
        self.ring.put(self.k)


def _open(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is not a file")
    return fd
