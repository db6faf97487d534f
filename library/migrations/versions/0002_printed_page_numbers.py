"""Printed page numbers of documents"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move one version up."""
    with op.batch_alter_table('documents', schema=None) as batch_op:
        batch_op.add_column(sa.Column('before_one', sa.Integer(), nullable=True))


def downgrade() -> None:
    """Move one version down."""
    with op.batch_alter_table('documents', schema=None) as batch_op:
        batch_op.drop_column('before_one')
