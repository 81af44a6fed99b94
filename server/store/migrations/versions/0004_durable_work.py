"""Durable work: recordings, processes that share a database, deliveries, what each tenant may use, server secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("settings", sa.Text, nullable=False, server_default="{}"))
    op.add_column("encounters", sa.Column("audio_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("encounters", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_encounters_tenant", "encounters", ["tenant_id", "state"])
    op.create_table(
        "executors",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
    )
    op.create_table(
        "parts",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("blob", sa.String(200)),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("source", sa.LargeBinary),
        sa.Column("samples", sa.BigInteger),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("dialect", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("tenant_id", "dialect", name="uq_webhooks_dialect"),
    )
    op.create_table(
        "callbacks",
        sa.Column("encounter_id", sa.String(32), sa.ForeignKey("encounters.id"), primary_key=True),
        sa.Column("dialect", sa.String(32), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("encounter_id", sa.String(32)),
        sa.Column("dialect", sa.String(32), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("claimed_by", sa.String(100), nullable=False, server_default=""),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_deliveries_due", "deliveries", ["state", "next_at"])
    op.create_index("ix_deliveries_encounter", "deliveries", ["encounter_id"])
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.String(32), sa.ForeignKey("deliveries.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.String(64)),
        sa.Column("duration_ms", sa.Integer, nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("audio_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
