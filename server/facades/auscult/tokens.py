"""`POST /api/tokens`: a key becomes a token that a browser may hold."""

from starlette.requests import Request
from starlette.responses import Response

from server.domain import Scope
from server.encounters import Encounters
from server.endpoints import Content, Endpoint
from server.errors import Forbidden, NotFound
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import own_api
from server.http import answer
from server.reception import Reception
from server.tokens import Tokens

BODY_BYTES = 16 * 1024


class TokenRoutes:
    """See the module."""

    def __init__(self, encounters: Encounters, tokens: Tokens, reception: Reception) -> None:
        self._encounters = encounters
        self._tokens = tokens
        self._reception = reception

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                facade=own_api(self._reception),
                method="POST",
                path="/api/tokens",
                handler=self.make,
                takes=[Content(schema.TokenRequest)],
                gives={201: Content(schema.Token)},
                refuses=(400, 404, 413),
            )
        ]

    async def make(self, request: Request) -> Response:
        """A token with a scope and an expiry. Only a key makes one: a page must not lengthen its own stay."""
        caller = await self._reception.caller(request)
        if caller.scope is not Scope.ALL:
            raise Forbidden("Only an API key makes tokens: ask the holder of the key for a new one.")
        asked = await self._reception.read(request, schema.TokenRequest, BODY_BYTES)
        scope, encounter = convert.token_scope(asked)
        if encounter:
            try:
                await self._encounters.progress(caller, encounter)
            except NotFound:
                raise NotFound("encounter_id names no encounter that this key can reach.") from None
        issued = await self._tokens.issue(caller, scope, encounter, expires_in_s=asked.expires_in_s)
        return answer(convert.token(issued), 201)
