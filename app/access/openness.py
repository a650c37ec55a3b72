"""Whether the service may start without asking callers for a key: where nobody else reaches it, or where told to."""

import ipaddress


class Unprotected(Exception):
    """The service would be open to others; the message is one line that says what to do."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, which may mean any address


def starting_line(host: str, auth_is_off: bool, is_any_key_made: bool) -> str | None:
    """What to say of an open service; None for one that asks for keys.

    Raises:
        Unprotected: others could read everybody's memory.
    """
    if auth_is_off:
        return "AUTH=off: whoever reaches this server may read and change every user's memory"
    if is_any_key_made:
        return None
    if is_loopback(host):
        return "open to everybody on this machine, since no key was made: `mneme keys create NAME --scope admin`"
    raise Unprotected(
        f"HOST={host} can be reached from elsewhere and no key was made: run `mneme keys create NAME --scope admin`,"
        " set MNEME_ADMIN_KEY, or write AUTH=off"
    )
