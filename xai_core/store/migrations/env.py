"""Run by Alembic: revisions apply to the connection that `database.migrate` hands over."""

from alembic import context

from xai_core.store.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
