"""Connections that come and go: who opened an encounter, and which resume tokens are still good."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("encounters", sa.Column("key_id", sa.String(32), nullable=False, server_default=""))
    op.add_column("encounters", sa.Column("token_id", sa.String(32), nullable=False, server_default=""))
    op.add_column("encounters", sa.Column("resumptions", sa.Integer, nullable=False, server_default="0"))
