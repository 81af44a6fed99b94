"""Which version of a note another one was made of, beside the sealed note, so that it is found without opening all."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("notes", sa.Column("edited_from", sa.Integer))
