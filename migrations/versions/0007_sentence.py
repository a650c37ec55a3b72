"""Slots have a key of all that was said there, stopwords included; a replay fills it in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("words", sa.Column("sentence", sa.LargeBinary(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("words") as words:
        words.drop_column("sentence")
