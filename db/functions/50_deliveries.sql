-- Derives a message's status from its parts and returns the row. The twin of domain.message.message_status; a test
-- holds the two together over all combinations.

CREATE OR REPLACE FUNCTION flow.settle_message(message uuid) RETURNS chat_messages LANGUAGE plpgsql AS $$
DECLARE
  settled chat_messages;
BEGIN
  UPDATE chat_messages m SET version = m.version + 1, delivery_status = p.status,
    sent_at = CASE WHEN p.status IN ('sent', 'delivered', 'read') THEN COALESCE(m.sent_at, now()) END,
    delivered_at = CASE WHEN p.status IN ('delivered', 'read') THEN COALESCE(m.delivered_at, now()) END,
    read_at = CASE WHEN p.status = 'read' THEN COALESCE(m.read_at, now()) END,
    platform_message_id = COALESCE(m.platform_message_id, p.first_id)
  FROM (
    SELECT CASE
      WHEN bool_or(d.status = 'dead') THEN 'failed'
      WHEN bool_or(d.status IN ('queued', 'attempting', 'unknown')) THEN 'pending'
      WHEN bool_or(d.status = 'sent') THEN 'sent'
      WHEN bool_or(d.status = 'delivered') THEN 'delivered'
      ELSE 'read' END AS status,
      min(d.platform_message_id) FILTER (WHERE d.part_no = 1) AS first_id
    FROM message_deliveries d JOIN chat_messages x ON x.id = d.message_id AND x.generation = d.generation
    WHERE d.message_id = message
  ) p
  WHERE m.id = message
  RETURNING m.* INTO settled;
  RETURN settled;
END $$;

-- Settles a message and tells its readers, under the session's lock, at the version that was taken with it.

CREATE OR REPLACE FUNCTION flow.publish_message(account uuid, message uuid, at_version bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  m chat_messages := flow.settle_message(message);
BEGIN
  INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
  VALUES (account, 'session:' || m.session_id, at_version, 'event', 'ChatMessageStatus',
    ARRAY['chat_session_' || m.session_id], flow.event('message_status', jsonb_build_object('session_id', m.session_id,
      'message_id', m.id, 'delivery_status', m.delivery_status, 'message', flow.message_view(m))), m.trace_id);
END $$;

-- Claims the next part of a message in the plain case: nothing waits, nothing failed, nobody took over, nothing shows it.
-- Returns nothing in every other case, which activities/attempts.py decides. A file is held longer, for its bytes take their
-- time. Idempotent by claim.

CREATE OR REPLACE FUNCTION flow.claim_any_part(
  account uuid, message uuid, wanted_generation int, claim uuid, hold_s double precision, file_hold_s double precision
) RETURNS TABLE (
  part_id uuid, part_no int, body text, plain text, payload jsonb, as_plain boolean, nonce text, attempts int,
  deadline_at timestamptz, first_attempt_at timestamptz, is_last boolean, at timestamptz, reply_to jsonb, session_key text,
  last_inbound_at timestamptz, channel chat_channels
) LANGUAGE plpgsql AS $$
DECLARE
  m chat_messages;
  s chat_sessions;
  c chat_channels;
  d message_deliveries;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT x.* INTO s FROM chat_sessions x
  WHERE x.id = (SELECT y.session_id FROM chat_messages y WHERE y.id = message) FOR NO KEY UPDATE;
  SELECT x.* INTO m FROM chat_messages x WHERE x.id = message AND x.generation = wanted_generation;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF s.status = 'blocked' OR (m.turn_id IS NOT NULL AND s.owner <> 'ai') OR EXISTS (
    SELECT 1 FROM message_deliveries x WHERE x.message_id = message AND x.generation = wanted_generation
      AND (x.status IN ('dead', 'unknown') OR (x.status = 'attempting' AND x.claim_id IS DISTINCT FROM claim))
  ) OR EXISTS (SELECT 1 FROM reply_previews p WHERE p.turn_id = m.turn_id) THEN
    RETURN;
  END IF;
  SELECT x.* INTO c FROM chat_channels x WHERE x.id = m.channel_id;
  SELECT x.* INTO d FROM message_deliveries x
  WHERE x.message_id = message AND x.generation = wanted_generation AND x.status IN ('queued', 'attempting')
  ORDER BY x.part_no LIMIT 1;
  IF d.id IS NULL OR c.send_paused_until > now() OR d.next_attempt_at > now() THEN
    RETURN;
  END IF;
  IF d.status = 'queued' THEN
    UPDATE message_deliveries x SET status = 'attempting', claim_id = claim, attempts = x.attempts + 1,
      deadline_at = now() + make_interval(secs => CASE d.payload ->> 'kind' WHEN 'file' THEN file_hold_s ELSE hold_s END), first_attempt_at = COALESCE(x.first_attempt_at, now()),
      next_attempt_at = NULL
    WHERE x.id = d.id;
  END IF;
  RETURN QUERY SELECT d.id, d.part_no, d.body, d.plain, d.payload, d.as_plain, d.nonce, d.attempts, d.deadline_at,
    d.first_attempt_at, NOT EXISTS (
      SELECT 1 FROM message_deliveries x
      WHERE x.message_id = message AND x.generation = wanted_generation AND x.part_no > d.part_no),
    now(), m.reply_to, s.session_key, s.last_inbound_at, c;
END $$;

-- Writes how a claimed part ended, while the claim is still the caller's, and tells the readers. Returns false, having
-- changed nothing, when it is not, or when a receipt that came early waits for this part: db/deliveries.py goes on.

CREATE OR REPLACE FUNCTION flow.settle_part(
  account uuid, part uuid, claim uuid, new_status text, platform_id text, code text, reason text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  d message_deliveries;
  at_version bigint;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT x.* INTO d FROM message_deliveries x WHERE x.id = part AND x.claim_id = claim;
  IF NOT FOUND OR (platform_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM inbound_events e WHERE e.channel_id = d.channel_id AND e.target_message_id = platform_id
      AND e.state = 'parked'
  )) THEN
    RETURN false;
  END IF;
  UPDATE chat_sessions SET version = version + 1 WHERE id = d.session_id RETURNING version INTO at_version;
  UPDATE message_deliveries x SET status = new_status,
    platform_message_id = COALESCE(platform_id, x.platform_message_id), error_code = code, error_message = reason,
    settled_at = now(), claim_id = NULL
  WHERE x.id = part AND x.claim_id = claim;
  IF NOT FOUND THEN
    -- Lost between the look and the lock: the version bump alone is harmless.
    RETURN false;
  END IF;
  PERFORM flow.publish_message(account, d.message_id, at_version);
  RETURN true;
END $$;
