"""What clients know of an encounter beforehand, patients that they name, and glossaries of their own, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("encounters", sa.Column("intake", sa.LargeBinary))
    op.create_index("ix_encounters_created", "encounters", ["tenant_id", "created_at", "id"])
    for name in ("patient_contexts", "glossaries"):
        op.create_table(
            name,
            sa.Column("tenant_id", sa.String(32), sa.ForeignKey("tenants.id"), primary_key=True),
            sa.Column("id", sa.String(64), primary_key=True),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
            sa.Column("created_at", sa.Float, nullable=False),
            sa.Column("updated_at", sa.Float, nullable=False),
        )
