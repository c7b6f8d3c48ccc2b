"""Schema history, by Alembic. Every step is reversible or an ADR says why not."""
