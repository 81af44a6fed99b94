"""Every table, once. The same definitions serve SQLite and PostgreSQL; migrations/ makes them.

Columns named `sealed` hold AES-GCM ciphertext under the encounter's data key (see `seal`): audio, words and notes never
lie in the database in the clear. Times are seconds since 1970 (UTC) as floats.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("settings", Text, nullable=False, server_default="{}"),  # JSON of domain.TenantSettings
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", String(32), ForeignKey("tenants.id"), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of the key, hex
    Column("hint", String(16), nullable=False),  # first characters, so that people can tell keys apart
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

encounters = Table(
    "encounters",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", String(32), ForeignKey("tenants.id"), nullable=False),
    Column("client_key", String(200)),  # idempotency key of the opening request
    Column("options", Text, nullable=False),  # JSON of domain.EncounterOptions; no words, no names
    Column("state", String(16), nullable=False),  # domain.State
    Column("stages", Text, nullable=False),  # JSON: {stage: time it was reached}
    Column("percentage", Integer, nullable=False),
    Column("failure", Text),  # JSON {code, message}: our own words only
    Column("warnings", Text, nullable=False),  # JSON list of our own sentences
    Column("epoch", Integer, nullable=False),  # fences a former owner's writes
    Column("owner", String(100), nullable=False),  # executor id of the process that holds the live session
    Column("lease_until", Float, nullable=False),
    Column("last_key", String(200)),  # key of the last chunk
    Column("key_id", String(32), nullable=False, server_default=""),  # who opened it
    Column("token_id", String(32), nullable=False, server_default=""),  # with which token of that key, if any
    Column("resumptions", Integer, nullable=False, server_default="0"),  # lowest number of a resume token still good
    Column("audio_ms", BigInteger, nullable=False, server_default="0"),  # heard so far, of all streams together
    Column("priority", Integer, nullable=False, server_default="0"),  # of a recording: higher ones are taken first
    Column("data_key", LargeBinary),  # wrapped by the key-encryption key; NULL once erased
    Column("intake", LargeBinary),  # sealed: JSON of intake.Intake; NULL: the client knew nothing
    Column("conversation", LargeBinary),  # sealed: what voices sound like, who is who; NULL at the start
    Column("created_at", Float, nullable=False),
    Column("active_at", Float, nullable=False),  # last audio or change
    Column("completed_at", Float),
    Column("fetched_at", Float),  # when a result that is given out once was given out
    UniqueConstraint("tenant_id", "client_key", name="uq_encounters_client_key"),
    Index("ix_encounters_state", "state"),
    Index("ix_encounters_tenant", "tenant_id", "state"),
    Index("ix_encounters_created", "tenant_id", "created_at", "id"),
)

streams = Table(
    "streams",
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("format", Text, nullable=False),  # JSON of AudioFormat
    Column("sealed", LargeBinary),  # JSON of the checkpoint and its restart point; NULL at the start
)

chunks = Table(
    "chunks",
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("stream", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("offset", BigInteger, nullable=False),  # of the first byte, in the stream's bytes
    Column("size", Integer, nullable=False),  # bytes, unsealed
    Column("client_key", String(200)),  # chunk number or idempotency key, where the client sends one
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("encounter_id", "stream", "client_key", name="uq_chunks_client_key"),
)

items = Table(
    "items",
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("ordinal", Integer, nullable=False),  # order in which items became final
    Column("sealed", LargeBinary, nullable=False),  # JSON of the utterance
)

notes = Table(
    "notes",
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # JSON of the note
    Column("edited_from", Integer),  # version; 0: none; NULL: stored before this column was, and only the note says it
)

blobs = Table(
    "blobs",
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("stream", Integer, primary_key=True),
    Column("key", String(200), nullable=False),  # name in the blob store
    Column("size", BigInteger, nullable=False),  # bytes, unsealed
    Column("created_at", Float, nullable=False),
)

access_log = Table(
    "access_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("tenant_id", String(32), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("action", String(50), nullable=False),
    Column("encounter_id", String(32)),
)

executors = Table(
    "executors",  # processes that share the database; those that ended are deleted by whoever finds them dead
    metadata,
    Column("id", String(100), primary_key=True),  # host, number of the process, random: new at each start
    Column("number", Integer, nullable=False, unique=True),  # of its advisory lock (PostgreSQL), held while it lives
    Column("role", String(16), nullable=False),
    Column("address", String(500), nullable=False),  # base URL at which the others reach it
    Column("started_at", Float, nullable=False),
)

parts = Table(
    "parts",  # the files of a recording, in order
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("blob", String(200)),  # name in the blob store; NULL until it is fetched, and once the audio is gone
    Column("size", BigInteger, nullable=False),  # bytes, unsealed
    Column("source", LargeBinary),  # sealed: the URL to fetch it from; NULL: it was uploaded
    Column("samples", BigInteger),  # at 16 kHz, once it was heard to its end
)

webhooks = Table(
    "webhooks",  # where a tenant wants to be told, in the words of which API
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant_id", String(32), ForeignKey("tenants.id"), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # under the server's key: URL and signing secrets
    Column("created_at", Float, nullable=False),
    UniqueConstraint("tenant_id", "dialect", name="uq_webhooks_dialect"),
)

callbacks = Table(
    "callbacks",  # where one encounter's result is wanted
    metadata,
    Column("encounter_id", String(32), ForeignKey("encounters.id"), primary_key=True),
    Column("dialect", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # the URL, and what the client wants to find in the body
)

deliveries = Table(
    "deliveries",  # the outbox
    metadata,
    Column("id", String(32), primary_key=True),  # the idempotency key of every attempt
    Column("tenant_id", String(32), ForeignKey("tenants.id"), nullable=False),
    Column("encounter_id", String(32)),  # NULL: a test
    Column("dialect", String(32), nullable=False),
    Column("event", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # pending | delivered | dead
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Float, nullable=False),
    Column("claimed_by", String(100), nullable=False, server_default=""),  # executor that is at work on it
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("sealed", LargeBinary, nullable=False),  # URL and body, under the encounter's data key or the server's
    Index("ix_deliveries_due", "state", "next_at"),
    Index("ix_deliveries_encounter", "encounter_id"),
)

attempts = Table(
    "attempts",  # of deliveries; never what was sent or answered
    metadata,
    Column("delivery_id", String(32), ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("status", Integer),  # of the answer; NULL: there was none
    Column("error", String(64)),  # one of our own codes; NULL: there was an answer
    Column("duration_ms", Integer, nullable=False),
)

patient_contexts = Table(
    "patient_contexts",  # patients that clients name in several requests
    metadata,
    Column("tenant_id", String(32), ForeignKey("tenants.id"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # under the server's key
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

glossaries = Table(
    "glossaries",  # of single tenants, besides the operator's files
    metadata,
    Column("tenant_id", String(32), ForeignKey("tenants.id"), primary_key=True),
    Column("id", String(64), primary_key=True),  # its name
    Column("sealed", LargeBinary, nullable=False),  # under the server's key
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    Column("tenant_id", String(32), ForeignKey("tenants.id"), primary_key=True),
    Column("month", String(7), primary_key=True),  # "2026-11", UTC
    Column("audio_ms", BigInteger, nullable=False),
)

secrets = Table(
    "secrets",  # of the server itself, the same for all its processes
    metadata,
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # under the server's key
)
