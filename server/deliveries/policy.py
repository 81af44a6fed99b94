"""What an attempt's answer means for its delivery. Pure.

Attempts go on for 24 hours, ever more rarely and never in step with others; whoever says when to come again is
listened to (RFC 9110 §10.2.3); 410 says never again. As https://www.standardwebhooks.com recommends.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

from server.outgoing import Answer

ATTEMPT_S = 10.0  # for one attempt
LASTS_S = 24 * 3600.0  # from the first attempt on
FIRST_S = 5.0  # between the first two, on average
GROWS = 3.0
LONGEST_S = 2 * 3600.0
GONE = 410


class State(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a delivery stands behind an attempt."""

    state: State
    wait_s: float = 0.0  # until the next attempt, where it is pending


def verdict(answer: Answer, *, attempts: int, age_s: float, now: float, jitter: float) -> Verdict:
    """What to do behind so many attempts, this one included, of a delivery so old. `jitter`: 0 to 1, by chance."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Verdict(state=State.DELIVERED)
    if answer.status == GONE:
        return Verdict(state=State.DEAD)
    wait = min(LONGEST_S, FIRST_S * GROWS ** min(attempts - 1, 20)) * (0.5 + jitter)
    wait = max(wait, _asked(answer.retry_after, now))
    left = LASTS_S - age_s
    if left <= 0:
        return Verdict(state=State.DEAD)
    return Verdict(state=State.PENDING, wait_s=min(wait, left))  # the last attempt comes at the very end


def _asked(retry_after: str | None, now: float) -> float:
    """Seconds that an answer asks for; 0 where it asks for none, or makes no sense."""
    if retry_after is None:
        return 0.0
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
