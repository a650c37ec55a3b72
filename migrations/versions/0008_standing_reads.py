"""A turn's trace tells how much of a weight is on what holds until revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reads", sa.Column("standing", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("reads") as reads:
        reads.drop_column("standing")
