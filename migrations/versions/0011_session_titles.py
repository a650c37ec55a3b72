"""Sessions have a title that their user gives them; none from before has one."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("title", sa.String(128), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "title")
