"""What goes wrong, and whether another attempt may mend it."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.flight as flight


class SaintError(Exception):
    """Base of the errors of this package."""


class RefusedError(SaintError):
    """A server refused a call for good: wrong token, malformed ticket, unknown data set, or a
    batch that cannot be made."""


class MismatchError(SaintError):
    """A server sent something other than what was asked for or sent before, or bytes that are not
    a batch."""


class UnreachableError(SaintError):
    """No server answered for as long as the client was told to be patient."""


_SAID = re.compile(r"with message: (.*?)(?:\. gRPC client debug context:|\. Client context:|\. Detail:|$)", re.DOTALL)
# gRPC's codes that share a class of pyarrow's with codes of the other kind.
_PASSING = "gRPC returned resource exhausted error"
_FINAL = ("gRPC returned aborted error", "gRPC returned data loss error")
_FINAL_TYPES = (
    pa.ArrowInvalid,
    pa.ArrowKeyError,
    pa.ArrowNotImplementedError,
    flight.FlightUnauthenticatedError,
    flight.FlightUnauthorizedError,
)


def said(err: BaseException) -> str:
    """The message of the server within an error of pyarrow, or else the error's own first line."""
    text = str(err)
    found = _SAID.search(text)
    return " ".join((found.group(1) if found else text).split())


def final(err: BaseException) -> bool:
    """Whether the same call would fail again everywhere."""
    if isinstance(err, SaintError):
        return True
    text = str(err)
    if text.startswith(_PASSING):
        return False
    return isinstance(err, _FINAL_TYPES) or text.startswith(_FINAL)


def refused(host: str, err: BaseException) -> SaintError:
    """The final error that a host caused."""
    if isinstance(err, SaintError):
        return err
    return RefusedError(f"{host}: {said(err)}")
