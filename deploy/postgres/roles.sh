#!/bin/sh
# First start of an empty database volume: three roles, three databases, nothing open to PUBLIC.
# powernode owns and migrates; powernode_app is what api and worker use, under row-level security.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set owner="$OWNER_PASSWORD" --set app="$APP_PASSWORD" --set temporal="$TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE powernode LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE powernode_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app';
CREATE ROLE temporal LOGIN NOSUPERUSER PASSWORD :'temporal';
CREATE DATABASE powernode OWNER powernode;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE powernode, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE powernode TO powernode_app;
SQL
