"""Word → speaker → role, surest source first: declared stream role → audio channel → voice → wording.

So far only the first source exists: the role that the client declared for the stream.
"""

from pipeline.types import Role, StreamOptions


def role_of(options: StreamOptions) -> Role:
    """Who speaks on a stream."""
    return options.role
