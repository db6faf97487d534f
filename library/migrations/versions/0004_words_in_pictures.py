"""How much of a page is drawn without words"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move one version up."""
    with op.batch_alter_table('pages', schema=None) as batch_op:
        batch_op.add_column(sa.Column('wordless', sa.Float(), nullable=True))


def downgrade() -> None:
    """Move one version down."""
    with op.batch_alter_table('pages', schema=None) as batch_op:
        batch_op.drop_column('wordless')
