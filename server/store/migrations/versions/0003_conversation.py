"""Who spoke: what is known of voices and speakers, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("encounters", sa.Column("conversation", sa.LargeBinary))
