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
_CODE = re.compile(r"gRPC client debug context: ([A-Z_]+):")
_FINAL_CODES = {
    "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED", "ABORTED", "FAILED_PRECONDITION",
    "UNIMPLEMENTED", "DATA_LOSS", "OUT_OF_RANGE",
}  # fmt: skip
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
    if isinstance(err, flight.FlightError) or not isinstance(err, _FINAL_TYPES):
        # Codes without a class of their own are known by their names.
        codes = _CODE.findall(str(err))
        if codes:
            return codes[-1] in _FINAL_CODES
    return isinstance(err, _FINAL_TYPES)


def refused(host: str, err: BaseException) -> SaintError:
    """The final error that a host caused."""
    if isinstance(err, SaintError):
        return err
    return RefusedError(f"{host}: {said(err)}")
