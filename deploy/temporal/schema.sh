#!/bin/sh
# Brings Temporal's two databases to the server's schema. Runs to its end before the server starts; safe to repeat.
# For an upgrade: one minor version at a time, this job first, then the server.
set -eu

for pair in "temporal temporal" "temporal_visibility visibility"; do
  database=${pair% *}
  folder=${pair#* }
  tool="temporal-sql-tool --plugin postgres12 --ep $POSTGRES_HOST --port 5432 --user temporal --database $database"
  # Refuses where the version tables exist already; what is really wrong shows in the next line.
  $tool setup-schema --version 0.0 || echo "$database has been set up before"
  $tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$folder/versioned"
done
