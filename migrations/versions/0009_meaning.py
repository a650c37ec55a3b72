"""Slots have a meaning in any language, and say how foreign they are to the first encoder; a replay fills both in."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("words", sa.Column("meaning", sa.LargeBinary(), nullable=False, server_default=""))
    op.add_column("slots", sa.Column("foreign_share", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("slots") as slots:
        slots.drop_column("foreign_share")
    with op.batch_alter_table("words") as words:
        words.drop_column("meaning")
