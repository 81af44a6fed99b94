"""Which encounters a caller has, a page at a time, as SQL."""

from sqlalchemy import Connection, Select, func, or_, select, tuple_

from server.domain import Caller, EncounterRow, Filter, Place, Scope
from server.store import tables as t
from server.store.encounters import ROW, read_row


def page(
    connection: Connection, caller: Caller, wanted: Filter, *, behind: Place | None, most: int
) -> list[EncounterRow]:
    """The next ones that the caller may reach, newest first."""
    c = t.encounters.c
    query = _reached(caller).order_by(c.created_at.desc(), c.id.desc()).limit(most)
    if wanted.states:
        query = query.where(c.state.in_(wanted.states))
    options = func.lower(c.options)  # JSON: a quotation mark within a client's own words would be escaped there
    if wanted.api:
        query = query.where(options.contains(f'"api":"{wanted.api.lower()}"', autoescape=True))
    if wanted.language:
        tag = f'"language":"{wanted.language.lower()}'
        exact, regional = (options.contains(tag + end, autoescape=True) for end in ('"', "-"))
        query = query.where(or_(exact, regional))
    if wanted.created_from is not None:
        query = query.where(c.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(c.created_at < wanted.created_before)
    if behind is not None:
        query = query.where(tuple_(c.created_at, c.id) < (behind.created_at, behind.encounter))
    return [read_row(found) for found in connection.execute(query)]


def _reached(caller: Caller) -> Select[tuple[object, ...]]:
    """See `Caller.may_reach`."""
    c = t.encounters.c
    query: Select[tuple[object, ...]] = select(*ROW).where(c.tenant_id == caller.tenant_id)
    match caller.scope:
        case Scope.ALL:
            return query
        case Scope.CONSOLE:
            return query.where(c.key_id == caller.key_id)
        case Scope.STREAM:
            return query.where(c.token_id == caller.token_id)
        case Scope.ENCOUNTER | Scope.FOLLOW:
            return query.where(c.id == caller.encounter)
