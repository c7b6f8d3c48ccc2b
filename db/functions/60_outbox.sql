-- Takes an aggregate for sending and returns its rows in order. No row at all: another process has it. The lock belongs
-- to the database session, so that no transaction stays open while Temporal and Redis are called; it ends with
-- flow.outbox_done or with the connection. A row without an id: nothing waits.

CREATE OR REPLACE FUNCTION flow.outbox_take(account uuid, wanted text)
RETURNS TABLE (id bigint, kind text, name text, data text, streams text[], trace_id text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  IF NOT pg_try_advisory_lock(hashtextextended(wanted, 0)) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT o.id, o.kind, o.name, o.data::text, o.streams, o.trace_id FROM outbox o
  WHERE o.aggregate = wanted ORDER BY o.aggregate_version, o.id LIMIT 200;
  IF NOT FOUND THEN
    RETURN QUERY SELECT NULL::bigint, NULL::text, NULL::text, NULL::text, NULL::text[], NULL::text;
  END IF;
END $$;

-- Deletes what was carried out and gives the aggregate back. A delete that a crash undoes means one repeat, which does
-- no harm: so the commit does not wait for the disk.

CREATE OR REPLACE FUNCTION flow.outbox_done(account uuid, wanted text, ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM outbox WHERE id = ANY(ids);
  PERFORM pg_advisory_unlock(hashtextextended(wanted, 0));
END $$;
