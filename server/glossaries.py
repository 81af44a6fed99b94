"""Words that a recogniser should expect: the operator's files, which are for all, and each tenant's own."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from pipeline.errors import InvalidGlossary
from pipeline.glossary import parse_glossary
from server.remembering import Remembered
from server.store import glossaries as sql
from server.store.database import Reader
from server.store.seal import KeyRing

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_BYTES = 64 * 1024  # of one glossary; a recogniser reads far less
MOST = 32  # of one tenant

Terms = Mapping[str, tuple[str, ...]]
"""By the glossary's name."""


class Glossaries:
    """What there is for each tenant, as of a moment ago at most: see `REMEMBERED_S`."""

    def __init__(self, shared: Terms, reader: Reader, keyring: KeyRing, steady: Callable[[], float]) -> None:
        """`shared`: the operator's."""
        self._shared = shared
        self._keyring = keyring
        self._own = Remembered[Terms](reader, steady)

    async def known(self, tenant: str) -> Terms:
        """All that the tenant may name: its own ones take the place of others of their name, and come first.

        Raises `StoreUnavailable`.
        """
        own = await self._own.get(tenant, partial(_of, ring=self._keyring, tenant=tenant))
        return {**own, **{name: terms for name, terms in self._shared.items() if name not in own}}

    async def terms(self, tenant: str, names: Sequence[str]) -> tuple[str, ...]:
        """The terms of these glossaries, the tenant's own before the others, in the order in which they are named.

        Raises `StoreUnavailable`.
        """
        if not names:
            return ()
        own = await self._own.get(tenant, partial(_of, ring=self._keyring, tenant=tenant))
        ordered = [own[name] for name in names if name in own]
        ordered += [self._shared[name] for name in names if name not in own and name in self._shared]
        return tuple(dict.fromkeys(term for terms in ordered for term in terms))


def checked(name: str, content: bytes) -> str:
    """The text of a glossary that is to be stored. Raises `InvalidGlossary` that says what to change."""
    if not NAME.fullmatch(name):
        raise InvalidGlossary("A glossary's name has 1 to 64 letters, digits, dots, dashes and underscores.")
    if len(content) > MAX_BYTES:
        raise InvalidGlossary(f"The glossary is larger than {MAX_BYTES} bytes: only its first terms would be read.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidGlossary("The glossary is not UTF-8 text.") from None
    if not parse_glossary(text):
        raise InvalidGlossary("There is no term in the glossary: write one a line.")
    return text


def _of(connection: Connection, ring: KeyRing, tenant: str) -> Terms:
    return {line.name: parse_glossary(line.text) for line in sql.listing(connection, ring, tenant)}
