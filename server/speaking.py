"""What a client may say of those who talk, in any API: how many they are, and who is on which channel."""

from collections.abc import Sequence

from pipeline.types import Role
from server.errors import BadRequest

MOST = 6  # speakers that can be told apart


def expected_speakers(count: int) -> int:
    """How many people are expected; 0: as the operator says. Raises `BadRequest`."""
    if not 0 <= count <= MOST:
        raise BadRequest(f"expected_speakers must be between 1 and {MOST}.")
    return count


def speaker_hints(names: Sequence[str]) -> tuple[Role, ...]:
    """Who is heard on the channels of a stereo stream, in order; one: they are one room. Raises `BadRequest`."""
    if len(names) > 2:
        raise BadRequest("speaker_hints must name the left and the right channel, or be one name: they are one room.")
    try:
        hints = tuple(Role(name.strip().lower()) for name in names)
    except ValueError:
        raise BadRequest("speaker_hints must be of: doctor, patient, unspecified.") from None
    if len(hints) == 2 and hints[0] is hints[1] is not Role.UNSPECIFIED:
        raise BadRequest(f"speaker_hints name the {hints[0]} twice.")
    return hints
