"""Rows can be sealed under a key of their memory's; nothing is, until `mneme encryption on`."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("memories", "sessions", "messages", "slots", "words", "reads")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.create_table(
        "memory_keys",
        sa.Column("memory_id", sa.String(32), sa.ForeignKey("memories.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.String(16), nullable=False),
    )


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM memory_keys")):
        raise RuntimeError("the database is encrypted: run `mneme encryption off` first")
    op.drop_table("memory_keys")
    for table in TABLES:
        op.drop_column(table, "sealed")
