"""The columns of slots and words get the field's names: feature bits, token ids, speaker tokens."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RENAMED = (
    ("slots", "traits", "feature_bits"),
    ("words", "pieces", "token_ids"),
    ("words", "voice", "speaker_tokens"),
)


def upgrade() -> None:
    for table, old, new in _RENAMED:
        op.alter_column(table, old, new_column_name=new)


def downgrade() -> None:
    for table, old, new in _RENAMED:
        op.alter_column(table, new, new_column_name=old)
