"""Which hosts a request may name and which pages it may come from.

A page of a foreign site can make a browser send requests here: by a name that it turns to this address (DNS rebinding),
or across sites. Neither needs a key where the service is open. Programs that are no browsers send no Origin.
"""

import ipaddress
from collections.abc import Iterable, Mapping

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Hosts:
    """The names by which the service may be called.

    Args:
        allowed: names besides those of loopback and of the address that a request came in at; `*` allows every name.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        names = {name.strip().lower().strip("[]") for name in allowed} - {""}
        self._any, self._names = "*" in names, _LOOPBACK | names

    def allow(self, host: str | None, address: str | None) -> bool:
        """Whether a request with that Host header, which came in at that address of this machine, is served."""
        if self._any:
            return True
        name = hostname(host) if host is not None else None
        return name is not None and (name in self._names or name == address)


def hostname(host: str) -> str | None:
    """The name in a Host header, in lower case and without port and brackets; None for one that is malformed."""
    text = host.strip().lower()
    if text.startswith("["):
        name, closed, rest = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            return None
        return name if closed and (not rest or (rest[0] == ":" and rest[1:].isdigit())) else None
    name, colon, port = text.partition(":")
    if not name or (colon and not port.isdigit()) or not name.isascii():
        return None
    return name.removesuffix(".")


def is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page that is not ours.

    Args:
        headers: by lower-case name.
    """
    origin = headers.get(b"origin")
    if origin is not None:
        return not _is_same(origin.decode("latin-1"), headers.get(b"host", b"").decode("latin-1"))
    # Browsers leave Origin out of some reads across sites, but say what they are; following a link is allowed.
    across = headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    return across and headers.get(b"sec-fetch-mode") != b"navigate"


def _is_same(origin: str, host: str) -> bool:
    # The scheme is not compared: behind a proxy that ends TLS the page's is https and ours http.
    scheme, separator, place = origin.strip().lower().partition("://")
    if not separator or scheme not in _DEFAULT_PORTS:
        return False  # `null`, extensions, files
    ports = {f":{port}" for port in _DEFAULT_PORTS.values()}
    bare = [_without(one, ports) for one in (place, host.strip().lower())]
    return bare[0] == bare[1] != ""


def _without(place: str, endings: Iterable[str]) -> str:
    return next((place.removesuffix(ending) for ending in endings if place.endswith(ending)), place)
