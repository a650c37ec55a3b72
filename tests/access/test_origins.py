"""Hosts and origins: what a browser may send here for a page, and by which name."""

import pytest

from app.access.origins import Hosts, hostname, is_foreign


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "10.0.0.7:8000", "localhost."]
)
def test_loopback_and_the_address_that_a_request_came_in_at_are_served(host: str) -> None:
    assert Hosts([]).allow(host, "10.0.0.7")


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.example", "localhost.evil.example", "10.0.0.8", "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:80:80", "[::1", "::1x", "[evil]", "[::1]x", "[::1]:x", "lоcalhost", "localhost/", " ",
    ],
)  # fmt: skip
def test_no_other_name_is(host: str | None) -> None:
    assert not Hosts([]).allow(host, "10.0.0.7")


def test_a_name_of_the_settings_is_served_and_a_star_serves_all() -> None:
    assert Hosts(["Mneme.example", " other "]).allow("mneme.example:443", None)
    assert Hosts(["mneme.example", " other "]).allow("OTHER", None)
    assert not Hosts([""]).allow("mneme.example", None)
    assert Hosts(["*"]).allow("anything", None)


@pytest.mark.parametrize("port", ["", ":1", ":65535"])
def test_a_host_s_name_is_taken_without_its_port(port: str) -> None:
    assert hostname("a.example" + port) == "a.example"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://mneme:8000"}, False),
        ({"origin": "https://mneme", "host": "mneme"}, False),
        ({"origin": "https://mneme", "host": "mneme:443"}, False),
        ({"origin": "http://MNEME:8000"}, False),
        ({"origin": "http://mneme:3000"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "http://evil.mneme:8000"}, True),
        ({"origin": "http://mneme:8000.evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "mneme:8000"}, True),
        ({"origin": "file://mneme:8000"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, True),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, False),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),
    ],
)
def test_a_page_of_another_site_is_foreign(headers: dict[str, str], foreign: bool) -> None:
    sent = {"host": "mneme:8000", **headers}
    assert is_foreign({name.encode(): value.encode() for name, value in sent.items()}) == foreign
