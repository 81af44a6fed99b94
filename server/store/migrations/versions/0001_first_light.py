"""First light: tenants and keys, encounters with their chunk log, items, notes, blobs, and the access log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("revoked_at", sa.Float),
    )
    op.create_table(
        "encounters",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("client_key", sa.String(200)),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stages", sa.Text, nullable=False),
        sa.Column("percentage", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("last_key", sa.String(200)),
        sa.Column("data_key", sa.LargeBinary),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("active_at", sa.Float, nullable=False),
        sa.Column("completed_at", sa.Float),
        sa.Column("fetched_at", sa.Float),
        sa.UniqueConstraint("tenant_id", "client_key", name="uq_encounters_client_key"),
    )
    op.create_index("ix_encounters_state", "encounters", ["state"])
    op.create_table(
        "streams",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_table(
        "chunks",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("stream", sa.Integer, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("client_key", sa.String(200)),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("encounter_id", "stream", "client_key", name="uq_chunks_client_key"),
    )
    op.create_table(
        "items",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "notes",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "blobs",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("stream", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "access_log",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("tenant_id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("encounter_id", sa.String(32)),
    )
