"""Slots have a meaning in any language, and say how foreign they are to the first encoder; a replay fills both in.

Checksums of rows from before know neither: they are taken away, and a row's next write makes its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("words", sa.Column("meaning", sa.LargeBinary(), nullable=False, server_default=""))
    op.add_column("slots", sa.Column("foreign_share", sa.Float(), nullable=False, server_default="0"))
    _without_checksums()


def downgrade() -> None:
    _without_checksums()
    op.drop_column("slots", "foreign_share")  # in place: a table made anew would take the rows that refer to it along
    op.drop_column("words", "meaning")


def _without_checksums() -> None:
    op.execute("UPDATE slots SET checksum = NULL")
    op.execute("UPDATE words SET checksum = NULL")
