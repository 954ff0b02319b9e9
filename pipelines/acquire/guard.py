"""The network as yt-dlp sees it here: public addresses only, answers of bounded size and time, no ftp and no file.

`build_request_director` of `yt_dlp.YoutubeDL` takes the handlers that all its requests go through (pages, redirects,
playlists, fragments); `handler(rules)` is the only one given to it. The address is checked where the socket is about to
connect, after the name was looked up, so that no name can mean one address in the check and another in use.

This module imports yt-dlp: import it inside functions.
"""

import dataclasses
import functools
import http.client
import io
import socket
import time
import urllib.request
import urllib.response
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.networking import _urllib
from yt_dlp.networking._helper import _socket_connect, create_connection
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, RequestError

from pipelines.acquire.addresses import refusal
from pipelines.acquire.playlists import refuse_endless_dash

MAX_PAGE_BYTES = 16 << 20  # of a page, a playlist, or whatever else is read at once; YouTube's largest are some MiB
_BLOCK = 1 << 16
_ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class PrivateAddressError(RequestError):
    """A connection would go to an address that is not public."""


class TooLargeError(RequestError):
    """A page is larger than any page has reason to be."""


class TooSlowError(RequestError):
    """The item's time is over."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a download may do: reach addresses that are not public, and read until `until` (of `time.monotonic`)."""

    allow_local: bool
    until: float = float("inf")
    max_page_bytes: int = MAX_PAGE_BYTES

    def check_time(self) -> None:
        """Raise `TooSlowError` when the time is over."""
        if time.monotonic() > self.until:
            raise TooSlowError("the time is over")

    def check_address(self, host: str, address: str) -> None:
        """Raise `PrivateAddressError` unless the numeric address may be reached; `host` is what it was found by."""
        word = None if self.allow_local else refusal(address)
        if word:
            named = address if host == address else f"{host} ({address})"
            raise PrivateAddressError(f"{named} is a {word} address; such are reached only with --allow-local")


def handler(rules: Rules) -> Callable[..., Any]:
    """A maker of request handlers, as `yt_dlp.YoutubeDL.build_request_director` wants them."""
    return functools.partial(GuardedUrllibRH, rules=rules)


class GuardedUrllibRH(_urllib.UrllibRH):
    """yt-dlp's own urllib handler with guarded connections and bounded answers; http, https and data only."""

    RH_KEY = "Urllib"  # yt-dlp explains unsupported schemes by this name
    _SUPPORTED_URL_SCHEMES = ("http", "https", "data")

    def __init__(self, *, rules: Rules, **settings: Any) -> None:
        super().__init__(**{**settings, "enable_file_urls": False})
        self.rules = rules

    def _create_instance(self, proxies: Any, cookiejar: Any, legacy_ssl_support: Any = None) -> Any:
        """Like the base's, without handlers for ftp and file."""
        opener = urllib.request.OpenerDirector()
        context = self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)
        for part in (
            _urllib.ProxyHandler(proxies),
            _GuardedHTTPHandler(self.rules, context=context, source_address=self.source_address),
            urllib.request.HTTPCookieProcessor(cookiejar),
            urllib.request.DataHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _urllib.RedirectHandler(),
        ):
            opener.add_handler(part)
        opener.addheaders = []
        return opener

    def _prepare_headers(self, _: Any, headers: Any) -> None:
        headers.setdefault("Accept-Encoding", "gzip, deflate")  # what can be unpacked up to a bound

    def _send(self, request: Any) -> Any:
        self.rules.check_time()
        try:
            plain = super()._send(request)
            return BoundedResponse(plain.fp, self.rules, keep=plain)
        except HTTPError as error:
            error.response = BoundedResponse(error.response.fp, self.rules, keep=error.response)
            raise


class _GuardedHTTPHandler(_urllib.HTTPHandler):
    """Opens connections through the rules."""

    def __init__(self, rules: Rules, **settings: Any) -> None:
        super().__init__(**settings)
        self._rules = rules

    def http_open(self, req: Any) -> Any:
        return self.do_open(self._maker(http.client.HTTPConnection, req), req)

    def https_open(self, req: Any) -> Any:
        return self.do_open(self._maker(http.client.HTTPSConnection, req), req, context=self._context)

    def _maker(self, base: type, req: Any) -> Callable[..., Any]:
        chosen = self._make_conn_class(base, req)  # takes the note of a SOCKS proxy off the request
        if chosen is not base or req.has_proxy() or req._tunnel_host:
            # the user's own proxy may well be private, and looks names up itself: what can be known here is checked
            self._check_known(urlsplit(req.full_url).hostname or "")
            return functools.partial(_urllib._create_http_connection, chosen, self._source_address)
        return functools.partial(self._connection, chosen)

    def _connection(self, kind: type, host: str, **settings: Any) -> Any:
        made = kind(host, **settings)
        made._create_connection = functools.partial(create_connection, _create_socket_func=self._connect)
        if self._source_address is not None:
            made.source_address = (self._source_address, 0)
        return made

    def _connect(self, found: Any, timeout: Any, source_address: Any) -> socket.socket:
        """`found` is one answer of `socket.getaddrinfo`; its numeric address is the one connected to."""
        self._rules.check_address(found[4][0], found[4][0])
        connected: socket.socket = _socket_connect(found, timeout, source_address)
        return connected

    def _check_known(self, host: str) -> None:
        try:
            found = socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)
        except OSError:
            return
        for one in found:
            self._rules.check_address(host, str(one[4][0]))

    def http_response(self, req: Any, resp: Any) -> Any:
        names = [name.strip().lower() for name in resp.headers.get("Content-Encoding", "").split(",")]
        names = [name for name in names if name and name != "identity"]
        if not names:
            return resp
        body = BoundedResponse(resp, self._rules).read()
        for name in reversed(names):
            body = _unpacked(body, name, self._rules.max_page_bytes)
        unpacked: Any = urllib.response.addinfourl(io.BytesIO(body), resp.headers, resp.url, resp.code)
        unpacked.msg = resp.msg
        return unpacked

    https_response = http_response


def _unpacked(data: bytes, encoding: str, limit: int) -> bytes:
    """`data` without its encoding. Raises `TooLargeError` beyond `limit` bytes, having unpacked no more than that."""
    if encoding not in _ENCODINGS:
        raise RequestError(f"the answer is encoded by {encoding[:20]!r}, which was not asked for")
    if not data:
        return data
    unpacker = zlib.decompressobj(_ENCODINGS[encoding])
    try:
        out = unpacker.decompress(data, limit + 1)
    except zlib.error:
        if encoding != "deflate":
            raise
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers leave the zlib header out
        out = unpacker.decompress(data, limit + 1)
    if len(out) > limit:
        raise TooLargeError(f"a page of {len(data)} bytes unpacks to more than {limit} bytes")
    if not unpacker.eof:
        raise zlib.error("incomplete or truncated stream")
    return out


class BoundedResponse(_urllib.UrllibResponseAdapter):
    """An answer that is read as it arrives, so that the time is looked at, and never whole beyond the bound."""

    def __init__(self, answer: Any, rules: Rules, keep: Any = None) -> None:
        super().__init__(answer)
        self._keep = keep  # a file object that wraps the answer too, and would close it when it is let go
        self._rules = rules
        self._left: int | None = getattr(answer, "length", None)  # bytes that are still to come, where that was said
        self._head = b""  # the first that was read in blocks: yt-dlp looks at a page's beginning, then reads the rest

    def read(self, amt: int | None = None) -> bytes:
        """All, or at most `amt` bytes (what has arrived); b"" at the end."""
        if amt is not None:
            part = self._arrived(amt)
            self._head += part[: max(0, _BLOCK - len(self._head))]
            return part
        parts, size = [], 0
        while part := self._arrived(_BLOCK):
            parts.append(part)
            size += len(part)
            if size > self._rules.max_page_bytes:
                raise TooLargeError(f"a page of more than {self._rules.max_page_bytes} bytes")
        if self._left:
            raise IncompleteRead(partial=size, expected=self._left)
        refuse_endless_dash(b"".join([self._head, *parts]))
        return b"".join(parts)

    def _arrived(self, most: int) -> bytes:
        self._rules.check_time()
        if self.closed or not most:
            return b""
        try:
            part: bytes = self.fp.read1(most if self._left is None else min(most, self._left))
        except Exception as error:
            _urllib.handle_response_read_exceptions(error)
            raise
        if self._left is not None:
            self._left -= len(part)
        if not part or self._left == 0:
            self.close()
        return part
