"""Connections to servers of Arrow Flight."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

_PLAIN, _TLS = "grpc://", "grpcs://"
_MOST_HOSTS = 256
_used_in: int | None = None  # the process that first connected


def parse_source(source: str) -> tuple[list[str], bool]:
    """Reads grpc://host:port[,host2[:port2]...] or grpcs://..., as 'saint train --source' does.

    Returns the hosts, each with its port, and whether they use TLS. A host without a port has that of
    the first one.
    """
    secure = source.startswith(_TLS)
    if not secure and not source.startswith(_PLAIN):
        raise ValueError(f"{source!r:.200} does not begin with {_PLAIN} or {_TLS}")
    hosts: list[str] = []
    first_port = ""
    for part in source[len(_TLS if secure else _PLAIN) :].split(","):
        host, port = part, first_port
        if part.rfind(":") > part.rfind("]"):
            host, _, port = part.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        bare = host[1:-1] if bracketed else host
        bad = not bare or any(c in bare for c in "/?#@ []") or (":" in bare and not bracketed)
        if bad or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError(f"{part!r:.80} in {source!r:.200} is not host:port")
        first_port = first_port or port
        address = f"{host}:{int(port)}"
        if address in hosts:
            raise ValueError(f"{source!r:.200} names {address} twice")
        hosts.append(address)
    if len(hosts) > _MOST_HOSTS:
        raise ValueError(f"{len(hosts)} hosts, want at most {_MOST_HOSTS}")
    return hosts, secure


def pem(value: bytes | str | os.PathLike[str] | None) -> bytes | None:
    """The content of a PEM file; bytes are the content itself."""
    if value is None or isinstance(value, bytes):
        return value
    with open(value, "rb") as f:
        return f.read()


@dataclass(frozen=True)
class Access:
    """How servers are reached. It can be pickled; connections cannot."""

    hosts: tuple[str, ...]
    secure: bool
    token: str | None = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    timeout: float
    shared_memory: bool

    @contextlib.contextmanager
    def connect(self, host: str) -> Iterator[flight.FlightClient]:
        """A connection of its own, closed at the end. Nothing is sent yet."""
        global _used_in
        if _used_in is None:
            _used_in = os.getpid()
        if _used_in != os.getpid():
            raise RuntimeError(
                "gRPC was used before this process was forked, and does not survive that: start workers with "
                'the method "forkserver" or "spawn" (DataLoader: multiprocessing_context="forkserver")'
            )
        scheme = "grpc+tls://" if self.secure else "grpc+tcp://"
        client = flight.FlightClient(scheme + host, **self.options)
        try:
            yield client
        finally:
            # A connection that broke has nothing to lose by closing.
            with contextlib.suppress(pa.ArrowException, OSError):
                client.close()

    def call(self, timeout: float | None = None) -> flight.FlightCallOptions:
        """Options of a call: the token, and a limit in seconds where there is one."""
        headers = [(b"authorization", b"Bearer " + self.token.encode())] if self.token is not None else []
        return flight.FlightCallOptions(timeout=timeout, headers=headers)


def check_token(token: str) -> str:
    """A token as servers take it: 16 to 1024 printable ASCII characters without spaces."""
    if not 16 <= len(token) <= 1024 or any(not "!" <= c <= "~" for c in token):
        raise ValueError("the token is not 16 to 1024 printable ASCII characters without spaces")
    return token


# Names of gRPC's options. Connections know by pings when a server has gone without a word, they do
# not go through proxies, as ours in Go do not, and none inherits the failures of another.
GENERIC_OPTIONS: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.lookahead_bytes", 16 << 20),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5_000),
]
