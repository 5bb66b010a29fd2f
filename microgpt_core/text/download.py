"""Fetching a file over https, and over nothing else: a redirection to http, ftp or file is refused."""

from collections.abc import Iterator
from http.client import HTTPException
from urllib import request

from microgpt_core.errors import DataError

CHUNK = 1 << 16
TIMEOUT = 30.0  # seconds without a byte


def fetch(url: str, instead: str) -> Iterator[bytes]:
    """The bytes behind `url`, in pieces. Raises DataError, which ends with what to do `instead`."""
    try:
        with https_only().open(request.Request(url, headers={"User-Agent": "microgpt"}), timeout=TIMEOUT) as answer:
            yield from iter(lambda: answer.read(CHUNK), b"")
    except (OSError, HTTPException) as error:  # urllib's errors are OSErrors
        raise DataError(f"can't fetch {url}: {error}; {instead}") from None


def https_only() -> request.OpenerDirector:
    """What urllib's `build_opener` makes, less the handlers of every other scheme."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler, request.UnknownHandler, request.HTTPSHandler, request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler, request.HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener
