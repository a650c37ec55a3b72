"""Slots know how what they hold was said: its traits, and the voice that said it.

A replay fills both in, which the new fingerprint asks for anyway.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("slots", sa.Column("traits", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("words", sa.Column("voice", sa.LargeBinary(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("words") as words:
        words.drop_column("voice")
    with op.batch_alter_table("slots") as slots:
        slots.drop_column("traits")
