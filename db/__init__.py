"""Postgres: tables, migrations and all SQL. Nobody else writes SQL; nothing here talks to any other service."""
