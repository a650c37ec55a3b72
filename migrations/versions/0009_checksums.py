"""Rows of a memory's state carry a checksum, and its memory the number of them; rows from before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = {"slots": ["checksum"], "words": ["checksum"], "memories": ["checksum", "held"]}


def upgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)  # in place: a table made anew would take the rows that refer to it along
