"""The client: what servers offer, and streams of batches."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from ._connect import GENERIC_OPTIONS, Access, check_token, parse_source, pem
from ._errors import MismatchError, UnreachableError, final, refused, said
from ._meta import Meta, parse_schema
from ._stream import Stream
from ._ticket import Ticket

T = TypeVar("T")
Pem = bytes | str | os.PathLike[str]


@dataclass(frozen=True)
class Flight:
    """A data set and a phase that a server offers."""

    dataset: str
    phase: int
    meta: Meta
    """Of a stream without further columns, with seed 1."""


@dataclass(frozen=True)
class Norm:
    """A normalisation."""

    dataset: str
    data: str
    """Fingerprint of the data set."""
    phase: int
    seed: int
    key: str
    """Names the coefficients: equal keys, equal coefficients."""
    subgraphs: int
    """That were counted."""
    seconds: float
    """That the call waited for it."""


class Client:
    """Servers that hold the same data, as one.

    It connects when it is asked for something, so creating one never fails for want of a server. It may
    be used from several threads and pickled into other processes, but not used on both sides of a fork.
    """

    def __init__(
        self,
        source: str | Sequence[str],
        *,
        token: str | None = None,
        tls_root_certs: Pem | None = None,
        tls_client_cert: Pem | None = None,
        tls_client_key: Pem | None = None,
        tls_server_name: str | None = None,
        timeout: float = 10.0,
        shared_memory: bool = True,
    ) -> None:
        """source is grpc://host:port[,host2...], or grpcs://... for TLS, or a list of such texts.

        token is what the server's --token_file holds. Certificates are PEM: the path of a file, or its
        content as bytes; without tls_root_certs those of gRPC are trusted. tls_server_name is the name
        that the server's certificate is for, where it is not the host's. timeout is how many seconds a
        call may take that only asks. shared_memory lets a server on this machine (Linux) leave batches in
        memory instead of sending them.
        """
        hosts: list[str] = []
        schemes = set()
        for text in [source] if isinstance(source, str) else source:
            more, secure = parse_source(text)
            schemes.add(secure)
            hosts += more
        if len(set(hosts)) != len(hosts) or len(schemes) != 1:
            raise ValueError("source: want hosts that differ, all with TLS or all without")
        options: dict[str, Any] = {"generic_options": GENERIC_OPTIONS}
        tls = {
            "tls_root_certs": pem(tls_root_certs),
            "cert_chain": pem(tls_client_cert),
            "private_key": pem(tls_client_key),
            "override_hostname": tls_server_name,
        }
        tls = {name: value for name, value in tls.items() if value is not None}
        if tls and True not in schemes:
            raise ValueError("certificates are for grpcs://, and the source is grpc://")
        if (tls_client_cert is None) != (tls_client_key is None):
            raise ValueError("tls_client_cert and tls_client_key go together")
        options.update(tls)
        token = None if token is None else check_token(token)
        self._access = Access(tuple(hosts), True in schemes, token, options, timeout, shared_memory)

    @property
    def hosts(self) -> tuple[str, ...]:
        """host:port of each server."""
        return self._access.hosts

    def flights(self) -> list[Flight]:
        """What the first server that answers offers."""

        def ask(client: flight.FlightClient, options: flight.FlightCallOptions) -> list[Flight]:
            found = []
            for info in client.list_flights(options=options):
                meta = parse_schema(info.schema)
                found.append(Flight(meta.dataset, meta.phase, meta))
            return found

        return self._first(ask)

    def meta(self, dataset: str, *, phase: int = 0, seed: int = 1, columns: Collection[str] = ()) -> Meta:
        """What a stream would say of itself; no batch is made for it."""
        ticket = Ticket(dataset, phase, seed, columns=tuple(columns))
        descriptor = flight.FlightDescriptor.for_command(ticket.encode())
        return self._first(lambda client, options: parse_schema(client.get_schema(descriptor, options=options).schema))

    def health(self) -> dict[str, str]:
        """For each host serving, draining or unreachable."""
        found = {}
        for host in self.hosts:
            try:
                found[host] = str(self._action(host, "health", {}, self._access.timeout)["status"])
            except UnreachableError:
                found[host] = "unreachable"
        return found

    def stats(self) -> dict[str, dict[str, Any]]:
        """What each host has done and holds; those that cannot be reached are left out."""
        found = {}
        for host in self.hosts:
            try:
                found[host] = self._action(host, "stats", {}, self._access.timeout)
            except UnreachableError:
                continue
        return found

    def norm(self, dataset: str, *, phase: int = 0, seed: int = 1, timeout: float | None = None) -> Norm:
        """Has the first server that answers make a normalisation, if need be, and describes it.

        It may take long; streams do the same when they begin.
        """
        ticket = Ticket(dataset, phase, seed)
        body = {"dataset": ticket.dataset, "phase": ticket.phase, "seed": ticket.seed}
        unreachable = None
        for host in self.hosts:
            try:
                answer = self._action(host, "norm", body, timeout)
                return Norm(**{name: answer[name] for name in Norm.__dataclass_fields__})
            except UnreachableError as err:
                unreachable = unreachable or err
            except KeyError as err:
                raise MismatchError(f"{host}: action norm: {err} is missing in the answer") from None
        assert unreachable is not None
        raise unreachable

    def drain(self, host: str) -> None:
        """Has a server refuse new streams, end those it has after their batch, and stop."""
        self._action(host, "drain", {}, self._access.timeout)

    def batches(
        self,
        dataset: str,
        *,
        phase: int = 0,
        seed: int = 1,
        start: int = 0,
        stop: int | None = None,
        shard: int = 0,
        shards: int = 1,
        columns: Collection[str] = (),
        data: str | None = None,
        norm: str | None = None,
        prefetch: int = 2,
        patience: float = 120.0,
    ) -> Stream:
        """The batches with start <= index < stop (without stop: no end) and index % shards == shard.

        columns may name features and edge_ids. data and norm are the fingerprint of the data set and the
        key of the normalisation that the stream must have. prefetch batches wait in front of the consumer
        for each host. When a server is lost, the stream goes on at the next index, there or elsewhere,
        until none has answered for patience seconds.
        """
        ticket = Ticket(dataset, phase, seed, start, stop, shard, shards, tuple(columns))
        return self.stream(ticket, data=data, norm=norm, prefetch=prefetch, patience=patience)

    def stream(
        self, ticket: Ticket, *, data: str | None = None, norm: str | None = None, prefetch: int = 2, patience: float = 120.0
    ) -> Stream:
        """The batches of a ticket; see batches."""
        return Stream(self._access, ticket, data=data, norm=norm, prefetch=prefetch, patience=patience)

    def _action(self, host: str, name: str, body: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        if host not in self.hosts:
            raise ValueError(f"{host!r} is none of {', '.join(self.hosts)}")
        content = json.dumps(body, ensure_ascii=False).encode() if body else b""

        def ask(client: flight.FlightClient, options: flight.FlightCallOptions) -> dict[str, Any]:
            results = [r.body.to_pybytes() for r in client.do_action(flight.Action(name, content), options=options)]
            try:
                (result,) = results
                return dict(json.loads(result))
            except (ValueError, TypeError):
                raise MismatchError(f"{host}: action {name}: the answer is not one JSON object") from None

        return self._ask(host, ask, timeout)

    def _first(self, ask: Callable[[flight.FlightClient, flight.FlightCallOptions], T]) -> T:
        """What the first host says that can be reached."""
        unreachable = None
        for host in self.hosts:
            try:
                return self._ask(host, ask, self._access.timeout)
            except UnreachableError as err:
                unreachable = unreachable or err
        assert unreachable is not None
        raise unreachable

    def _ask(
        self, host: str, ask: Callable[[flight.FlightClient, flight.FlightCallOptions], T], timeout: float | None
    ) -> T:
        try:
            with self._access.connect(host) as client:
                return ask(client, self._access.call(timeout))
        except (pa.ArrowException, OSError, KeyError) as err:
            if isinstance(err, KeyError) and not isinstance(err, pa.ArrowException):
                raise
            if final(err):
                raise refused(host, err) from err
            raise UnreachableError(f"{host}: {said(err)}") from err
