"""Documents' own tables of contents"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move one version up."""
    with op.batch_alter_table('documents', schema=None) as batch_op:
        batch_op.add_column(sa.Column('outline', sa.JSON(), nullable=True))


def downgrade() -> None:
    """Move one version down."""
    with op.batch_alter_table('documents', schema=None) as batch_op:
        batch_op.drop_column('outline')
