"""How Alembic reaches the catalogue: over the connection that the catalogue hands it."""

from alembic import context

from library.tables import Base


def migrate() -> None:
    """Run the migrations on the connection in the configuration's attributes."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


migrate()
