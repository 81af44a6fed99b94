"""What a request can be told, as a tree. The docstring of a class is its default message; façades map `code`.

ServerError (pipeline's AuscultError)
├── BadRequest           malformed input; the message says what to change
│   ├── TooLarge         over a limit
│   ├── AlreadyFinal     audio after the end
│   ├── PreconditionRequired   it was not said which state of a thing is to be changed …
│   └── PreconditionFailed     … or it is another one by now
├── NoteUnwritten        a note that was to be written again was not; the writer says why
├── SessionTooLong       more audio than one session may have
├── Cancelled            the recording was cancelled by its owner
├── RecordingBroken      work on it broke off again and again
├── ResumeTokenInvalid   it continues no session of this caller
├── ResumeTokenUsed      a newer one continues that session
├── Unauthorized         no key or token, or not a valid one
│   └── TokenExpired     it was valid; the client needs a new one
├── Forbidden            a valid credential that may not do this
├── NotFound             unknown, expired, or somebody else's
│   └── AudioGone        the file of a recording is no longer stored
├── Unexpected           a fault of ours
├── EpochLost            another process took the session over
│   └── Erased           it was deleted while it went on
├── DatabaseUnusable     it cannot be opened at start
├── StoreUnavailable     the database does not answer; retry later
│   └── BlobsUnavailable the place for recordings does not
│       └── StorageFull  it has no room left
├── TooManyAtOnce        too many requests for one session wait already; retry later
├── RateLimited          more requests than the tenant may send in a minute; retry later
├── QuotaExceeded        more than the tenant may use
│   ├── StreamsExceeded    of streams at the same time; retry when one has ended
│   └── MinutesExceeded    of audio in a month
└── Conflict             the data directory or the database is in use
"""

from pipeline.errors import AuscultError, Overloaded


class ServerError(AuscultError):
    """The request failed."""

    code = "server_error"


class BadRequest(ServerError):
    """The request is malformed."""

    code = "bad_request"

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field  # the one that is wrong, such as "patient.age"; empty: it is not only one


class TooLarge(BadRequest):
    """The request is over the server's limit."""

    code = "too_large"


class AlreadyFinal(BadRequest):
    """The session was already ended by its final chunk: start a new one."""

    code = "already_final"


class SessionTooLong(ServerError):
    """The session has reached its longest duration: end it and start a new one."""

    code = "session_too_long"


class Cancelled(ServerError):
    """The recording was cancelled."""

    code = "cancelled"


class RecordingBroken(ServerError):
    """Work on this recording broke off again and again: its files may be damaged, or the server has a fault."""

    code = "recording_broken"


class ResumeTokenInvalid(ServerError):
    """The resume token continues no session here: start a new one."""

    code = "resume_token_invalid"


class ResumeTokenUsed(ServerError):
    """The resume token was used: only the newest token of a session continues it."""

    code = "resume_token_used"


class Unauthorized(ServerError):
    """The API key or token is missing or not valid: send `Authorization: Bearer <key or token>`."""

    code = "unauthorized"


class TokenExpired(Unauthorized):
    """The token has expired: get a new one from the holder of the API key."""

    code = "token_expired"


class Forbidden(ServerError):
    """This credential may not do that: use an API key."""

    code = "forbidden"


class NotFound(ServerError):
    """Not found."""

    code = "not_found"


class AudioGone(NotFound):
    """The audio of this recording is no longer here: send it again."""

    code = "audio_gone"


class MethodNotAllowed(BadRequest):
    """This method is not one of this address: the Allow header names those that are."""

    code = "method_not_allowed"


class Unexpected(ServerError):
    """The server has a fault, which its log describes: the request was not done, or only in part."""

    code = "internal_error"


class PreconditionRequired(BadRequest):
    """If-Match is missing: send the ETag of what is to be changed, as it was read."""

    code = "precondition_required"


class PreconditionFailed(BadRequest):
    """It was changed since the ETag in If-Match was read: read it again."""

    code = "precondition_failed"


MODEL_AWAY = frozenset({"model_unavailable", "model_busy", "model_timeout"})


class NoteUnwritten(ServerError):
    """The note could not be written."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # of the writer's error
        self.retryable = code in MODEL_AWAY


class EpochLost(ServerError):
    """Another process has taken this session over."""

    code = "epoch_lost"
    retryable = True


class Erased(EpochLost):
    """This session was erased: there is nothing to go on with."""

    code = "erased"
    retryable = False


class StoreUnavailable(ServerError):
    """The database does not answer at present: send the same request again later."""

    code = "store_unavailable"
    retryable = True


class BlobsUnavailable(StoreUnavailable):
    """Recordings cannot be stored or read at present; the server's log says why. Send the same request again later."""


class StorageFull(BlobsUnavailable):
    """No room is left for recordings: the operator must make some. Send the same request again later."""


class TooManyAtOnce(ServerError):
    """Too many requests for this session are waiting already: send the next ones when these are answered."""

    code = "too_many_at_once"
    retryable = True


class RateLimited(ServerError):
    """Too many requests were sent within a minute."""

    code = "rate_limited"
    retryable = True

    def __init__(self, limit: int, *, retry_after_s: int) -> None:
        super().__init__(f"More than {limit} requests were sent within a minute: try again in {retry_after_s} seconds.")
        self.retry_after_s = retry_after_s


class QuotaExceeded(ServerError):
    """This is more than what was agreed on: ask who runs the server for more."""

    code = "quota_exceeded"
    quota = ""  # which one, for metrics


class StreamsExceeded(QuotaExceeded):
    """There are as many live audio streams as there may be at the same time: end one first."""

    code = "quota_streams"
    quota = "streams"
    retryable = True
    retry_after_s = 30  # a consultation takes minutes; of several, one ends sooner


class MinutesExceeded(QuotaExceeded):
    """The minutes of audio of this month are used: wait for the next one, or ask who runs the server for more."""

    code = "quota_minutes"
    quota = "minutes"


class DatabaseUnusable(ServerError):
    """The database cannot be opened or brought to this version."""

    code = "database_unusable"


class Conflict(ServerError):
    """Another server is already using this data directory or database."""

    code = "conflict"


FULL = (Overloaded, RateLimited, StreamsExceeded)
"""Nothing is wrong with the request; there is no room for it at present."""
