"""The start: open where only this machine reaches the service, refused where others would and nobody is asked."""

import pytest

from app.access.openness import Unprotected, is_loopback, starting_line


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback_without_a_key_starts_open_and_says_so(host: str) -> None:
    assert is_loopback(host)
    line = starting_line(host, auth_is_off=False, is_any_key_made=False)
    assert line is not None
    assert "mneme keys create" in line


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "mneme.example", "localhost.example", "", "127.0.0.1.x"]
)
def test_any_other_address_is_refused_without_a_key(host: str) -> None:
    with pytest.raises(Unprotected, match="no key was made"):
        starting_line(host, auth_is_off=False, is_any_key_made=False)


def test_with_a_key_any_address_starts_and_nothing_is_to_be_said() -> None:
    assert starting_line("0.0.0.0", auth_is_off=False, is_any_key_made=True) is None


def test_auth_off_starts_anywhere_and_says_what_that_means() -> None:
    line = starting_line("0.0.0.0", auth_is_off=True, is_any_key_made=False)
    assert line is not None
    assert "AUTH=off" in line
