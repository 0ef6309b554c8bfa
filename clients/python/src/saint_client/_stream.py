"""Reading a stream: a thread for each host, which comes back after failures."""

from __future__ import annotations

import atexit
import collections
import random
import threading
import time
import weakref
from collections.abc import Iterator
from types import TracebackType

import pyarrow as pa
import pyarrow.flight as flight

from . import _shared
from ._batch import Batch
from ._connect import Access
from ._errors import MismatchError, SaintError, UnreachableError, final, refused, said
from ._meta import Meta, parse_schema
from ._ticket import Ticket

_FIRST_DELAY, _MOST_DELAY = 0.05, 2.0
_LEAVE = 2.0  # seconds that closing waits for a thread that a server keeps waiting

_open: weakref.WeakSet[Stream] = weakref.WeakSet()


class Stream(Iterator[Batch]):
    """The batches of a ticket in the order of their indices.

    It is an iterator and a context manager; it must be closed, or read to its end, or left to the
    garbage collector. Batches stay valid afterwards. One thread at a time may use it.
    """

    def __init__(
        self,
        access: Access,
        ticket: Ticket,
        *,
        data: str | None = None,
        norm: str | None = None,
        prefetch: int = 2,
        patience: float = 120.0,
    ) -> None:
        if prefetch < 1:
            raise ValueError(f"prefetch is {prefetch}, want 1 or more")
        self.ticket = ticket
        """What is read."""
        self._shared = _Shared(access, ticket, data, norm, prefetch, patience)
        self._next = ticket.first
        self._lanes: list[_Lane] = []
        lanes = len(access.hosts) if ticket.shards * len(access.hosts) <= 2**20 else 1
        for k in range(lanes):
            part = ticket.part(k, lanes)
            if part is not None:
                self._lanes.append(_Lane(self._shared, part, k))
        self._turn = 0
        for lane in self._lanes:
            threading.Thread(target=lane.run, name=f"saint-client {ticket.dataset}", daemon=True).start()
        _open.add(self)

    @property
    def next_index(self) -> int | None:
        """Index of the batch that comes next; None at the end. A stream is resumed by start=next_index."""
        return self._next

    @property
    def reconnects(self) -> int:
        """How many times a stream was opened again."""
        return self._shared.reconnects

    @property
    def meta(self) -> Meta:
        """What the stream says of itself; it is waited for."""
        with self._shared.changed:
            while self._shared.meta is None:
                for lane in self._lanes:
                    if lane.failure is not None:
                        raise lane.failure
                if self._shared.closed or not self._lanes:
                    raise SaintError("the stream was closed, or has no batches, before a server said what it is")
                self._shared.changed.wait()
            return self._shared.meta

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Batch:
        if not self._lanes or self._next is None:
            raise StopIteration
        lane = self._lanes[self._turn]
        with self._shared.changed:
            while not lane.ready and not lane.ended and not self._shared.closed:
                self._shared.changed.wait()
            if self._shared.closed:
                raise StopIteration
            if not lane.ready:
                failure = lane.failure or SaintError("a reading thread ended early")
                self._shared.closed = True
                self._shared.changed.notify_all()
                raise failure
            batch = lane.ready.popleft()
            self._shared.changed.notify_all()
        self._turn = (self._turn + 1) % len(self._lanes)
        self._next = self.ticket.after(batch.index)
        if self._next is None:
            self.close()
        return batch

    def close(self) -> None:
        """Ends reading; batches that wait are dropped."""
        self._shared.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        shared = getattr(self, "_shared", None)
        if shared is not None:
            shared.close(wait=False)


class _Shared:
    """What the threads of a stream have in common. It knows nothing of the stream, so that one
    nobody looks at any more can be collected."""

    def __init__(
        self, access: Access, ticket: Ticket, data: str | None, norm: str | None, prefetch: int, patience: float
    ) -> None:
        self.access, self.ticket, self.data, self.norm = access, ticket, data, norm
        self.prefetch, self.patience = prefetch, patience
        self.changed = threading.Condition(threading.RLock())  # a collector may run anywhere
        self.closed = False
        self.meta: Meta | None = None
        self.reconnects = 0
        self.network_only: set[str] = set()  # hosts that were asked for shared memory in vain
        self.readers: dict[_Lane, flight.FlightStreamReader] = {}
        self.running: set[_Lane] = set()

    def close(self, wait: bool = True) -> None:
        with self.changed:
            self.closed = True
            readers = list(self.readers.values())
            self.changed.notify_all()
        for reader in readers:
            reader.cancel()
        deadline = time.monotonic() + _LEAVE
        with self.changed:
            while wait and self.running and (left := deadline - time.monotonic()) > 0:
                self.changed.wait(left)

    def verify(self, host: str, meta: Meta) -> Meta:
        """Compares what a stream says of itself with the ticket, and with what was said before."""
        t = self.ticket
        want = {"dataset": t.dataset, "phase": t.phase, "seed": t.seed, "edge_ids": "edge_ids" in t.columns}
        if self.data is not None:
            want["data"] = self.data
        if self.norm is not None:
            want["norm"] = self.norm
        with self.changed:
            if self.meta is not None:
                want.update(vars(self.meta))
            for name, value in want.items():
                if getattr(meta, name) != value:
                    raise MismatchError(f"{host}: {_MEANING.get(name, name)} is {getattr(meta, name)!r}, want {value!r}")
            if ("features" in t.columns) != (meta.num_features > 0):
                raise MismatchError(f"{host}: the stream has {meta.num_features} features, asked for were {t.columns}")
            self.meta = meta
            self.changed.notify_all()
        return meta


_MEANING = {"data": "the fingerprint of the data set", "norm": "the key of the normalisation"}


class _Lane:
    """Reads every len(hosts)-th batch, from its own host as long as that answers and from the others
    in turn when it does not."""

    def __init__(self, shared: _Shared, ticket: Ticket, host: int) -> None:
        self.shared, self.ticket, self.host = shared, ticket, host
        self.next = ticket.first
        self.ready: collections.deque[Batch] = collections.deque()
        self.ended = False
        self.failure: SaintError | None = None
        shared.running.add(self)

    def run(self) -> None:
        try:
            self._read()
        except SaintError as err:
            self.failure = err
        except Exception as err:
            self.failure = SaintError(f"{type(err).__name__}: {err}")
        finally:
            with self.shared.changed:
                self.ended = True
                self.shared.running.discard(self)
                self.shared.changed.notify_all()

    def _read(self) -> None:
        hosts = self.shared.access.hosts
        failures, since = 0, 0.0
        while self.next is not None and not self.shared.closed:
            before, host = self.next, hosts[self.host]
            why = "the stream ended early"
            try:
                self._attempt(host)
            except (pa.ArrowException, OSError, KeyError, SaintError) as err:
                if final(err):
                    raise refused(host, err) from err
                why = said(err)
            if self.next is None or self.shared.closed:
                return
            if self.next != before or failures == 0:
                failures, since = 0, time.monotonic()
            failures += 1
            if time.monotonic() - since > self.shared.patience:
                raise UnreachableError(f"no server has sent batch {self.next} for {self.shared.patience:g} s: {host}: {why}")
            self.shared.reconnects += 1
            self.host = (self.host + 1) % len(hosts)
            self._pause(failures // len(hosts))

    def _pause(self, rounds: int) -> None:
        """Waits longer after each round over the hosts; the first time another may answer at once."""
        if rounds == 0:
            return
        delay = min(_FIRST_DELAY * 2 ** min(rounds - 1, 10), _MOST_DELAY)
        delay *= 0.5 + 0.5 * random.random()  # clients that lost the same server shall not all return at once
        with self.shared.changed:
            self.shared.changed.wait_for(lambda: self.shared.closed, delay)

    def _attempt(self, host: str) -> None:
        """Reads from a host by the fastest way there is to it."""
        shared = self.shared
        assert self.next is not None
        ticket = self.ticket.at(self.next).encode()
        with shared.access.connect(host) as client:
            if shared.access.shared_memory and host not in shared.network_only and _shared.possible(host):
                try:
                    self._read_shared(host, _shared.read(client, ticket, shared.access.call()))
                    return
                except _shared.NoSharingError:
                    shared.network_only.add(host)
            reader = client.do_get(flight.Ticket(ticket), options=shared.access.call())
            with shared.changed:
                shared.readers[self] = reader
            try:
                meta = shared.verify(host, parse_schema(reader.schema))
                while self._room():
                    try:
                        record = reader.read_chunk().data
                    except StopIteration:
                        return
                    self._take(host, record, meta)
            finally:
                with shared.changed:
                    del shared.readers[self]
                reader.cancel()

    def _read_shared(self, host: str, records: Iterator[pa.Schema | pa.RecordBatch]) -> None:
        meta = self.shared.verify(host, parse_schema(next(records)))
        while self._room() and (record := next(records, None)) is not None:
            self._take(host, record, meta)

    def _room(self) -> bool:
        """Waits until another batch may wait for the consumer; False when nobody reads any more."""
        with self.shared.changed:
            while len(self.ready) >= self.shared.prefetch and not self.shared.closed:
                self.shared.changed.wait()
            return not self.shared.closed

    def _take(self, host: str, record: pa.RecordBatch, meta: Meta) -> None:
        if record.num_rows != 1:
            raise MismatchError(f"{host}: it sent a record of {record.num_rows} rows, want 1")
        batch = Batch(record, meta)
        if batch.index != self.next:
            raise MismatchError(f"{host}: it sent batch {batch.index}, want batch {self.next}")
        try:
            batch.validate()
        except MismatchError as err:
            raise MismatchError(f"{host}: {err}") from None
        with self.shared.changed:
            self.ready.append(batch)
            self.next = self.ticket.after(batch.index)
            self.shared.changed.notify_all()


@atexit.register
def _close_all() -> None:
    """Threads must not be inside gRPC when the interpreter ends."""
    for stream in list(_open):
        stream.close()
