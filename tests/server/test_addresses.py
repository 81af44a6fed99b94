from ipaddress import ip_address

import pytest

from server.addresses import AddressRefused, AllowedHosts, public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "198.18.0.1", "192.0.2.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:db8::1", "fec0::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_what_is_not_public_is_not_called(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_public_is_called(address: str) -> None:
    assert public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x", "file:///etc/passwd", "gopher://a/", "http://", "//a.example", "http://user:pw@a.example/",
        "http://a.example:99999/", "http://a.example:0/", "http://a b/", "http://exämple.org/", "http://a.example/\x7f",
        "http://a\r\nHost: b/", "javascript:1", "",
    ],
)  # fmt: skip
def test_addresses_of_another_form_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        AllowedHosts([]).check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data", "http://10.1.2.3/", "https://[::1]/", "http://[fe80::1%25eth0]/",
        "http://2130706433/", "http://0x7f.1/", "http://0/", "http://[::ffff:10.1.2.3]/", "http://8.8.8.8:25/",
        "http://a.example:25/",
    ],
)  # fmt: skip
def test_what_will_never_be_called_is_refused_without_a_look_up(url: str) -> None:
    with pytest.raises(AddressRefused):
        AllowedHosts([]).check_url(url)


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "https://[2606:4700::1]:8443/", "http://localhost/", "http://a.example/"]
)
def test_public_addresses_and_names_may_be_looked_up(url: str) -> None:
    AllowedHosts([]).check_url(url)


@pytest.mark.parametrize("allowed", ["10.1.2.3", "10.1.2.3:8080", "10.0.0.0/8"])
def test_an_operator_allows_an_address_that_a_url_names(allowed: str) -> None:
    AllowedHosts([allowed]).check_url("http://10.1.2.3:8080/")


def test_an_allowed_host_is_no_prefix() -> None:
    allowed = AllowedHosts(["hospital.example", "emr_db:8443", "10.0.0.0/8", "[fd00::1]", "[fd00::2]:8443"])
    assert allowed.named("hospital.example", 80)
    assert not allowed.named("evil-hospital.example", 80)
    assert allowed.named("EMR_db", 8443)
    assert not allowed.named("emr_db", 80)
    assert allowed.named("fd00::2", 8443)
    assert not allowed.named("fd00::2", 80)
    assert allowed.addressed(ip_address("10.9.9.9"))
    assert allowed.addressed(ip_address("fd00::1"))
    assert not allowed.addressed(ip_address("11.0.0.1"))
