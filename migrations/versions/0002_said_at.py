"""Slots know when what they hold was said; the log tells when a memory was last read.

A replay fills the first in, which the new fingerprint asks for anyway.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slots", sa.Column("said_at", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("memories") as memories:
        memories.drop_column("last_read_at")


def downgrade() -> None:
    op.add_column("memories", sa.Column("last_read_at", sa.DateTime(), nullable=True))
    with op.batch_alter_table("slots") as slots:
        slots.drop_column("said_at")
