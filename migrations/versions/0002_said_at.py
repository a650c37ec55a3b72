"""Slots know when what they hold was said; a replay fills it in, which the new fingerprint asks for anyway."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slots", sa.Column("said_at", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("slots") as slots:
        slots.drop_column("said_at")
