"""Haidy's API, as a whole, and its errors."""

from server.endpoints import Content, Facade
from server.facades.haidy import convert
from server.http import refusal
from server.reception import Reception


def vendor_api(reception: Reception) -> Facade:
    """Of all endpoints of this API."""
    refuse = reception.refusing(refusal(convert.error))
    return Facade(name="Haidy", about="As Haidy (44ai) has it.", refuse=refuse, refusal=Content(str))
