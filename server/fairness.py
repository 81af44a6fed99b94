"""Which recording is taken next, so that no tenant waits for another one's. A pure decision."""

from collections.abc import Iterable, Mapping

import msgspec


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in line."""

    encounter: str
    tenant: str
    priority: int  # its tenant's, when it came
    since: float


def chosen(waiting: Iterable[Waiting], working: Mapping[str, int], *, most_per_tenant: int) -> Waiting | None:
    """The next one: of the tenant with the fewest in work, of these the one with the highest priority, then the oldest.

    None where nobody waits, or only tenants that have `most_per_tenant` in work.
    """
    eligible = (each for each in waiting if working.get(each.tenant, 0) < most_per_tenant)
    first: dict[str, Waiting] = {}
    for each in eligible:
        known = first.get(each.tenant)
        if known is None or (-each.priority, each.since) < (-known.priority, known.since):
            first[each.tenant] = each
    return min(first.values(), key=lambda each: (working.get(each.tenant, 0), -each.priority, each.since), default=None)
