-- An inbound message gets its session, its numbers and its twin in the AI conversation, and the outbox learns of it: by one
-- row, because a platform waits for our answer. What it stands for is shaped when it leaves (flow.arrival_rows).
-- m: {session_key, sender_id, sender_name, agent_id, platform, user_metadata, message_type, content, sanitized,
--   occurred_at, order_key, platform_message_id, reply_to, metadata, attachments, inbound_event_id, trace_id, deferred_until,
--   late, known_as, person}; the last three may be missing (see 15_people.sql).
-- attachments: [{kind, type, remote_ref, mime_type, filename, size}]; each becomes a row that waits for its fetch.
-- Deferred and blocked ones get no numbers and no twin. A late one is part of the conversation and opens no turn: a twin,
-- no arrival number, and it wakes no session. Returns the session. Idempotent through its caller's dedup key.

-- Whether a message's turn is to wait for its files: it has no words of its own, only a label in brackets (domain/files.py).

CREATE OR REPLACE FUNCTION flow.waits_for_files(m chat_messages) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN m.content ~ '^\[[^\n]*\]$'
    AND EXISTS (SELECT 1 FROM chat_message_attachments f WHERE f.message_id = m.id AND f.state = 'waiting');
END $$;

CREATE OR REPLACE FUNCTION flow.record_message(account uuid, channel uuid, m jsonb, sender_blocked boolean)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  is_late boolean := COALESCE((m ->> 'late')::boolean, false);
  -- The platform's own time, which opens its reply window; a clock that is ahead of ours opens it no longer.
  written_at timestamptz := LEAST(COALESCE((m ->> 'occurred_at')::timestamptz, now()), now());
  step int;
  who text := COALESCE(m ->> 'sender_name', m ->> 'sender_id');
  session record;
  twin_id uuid;
  message_id uuid := gen_random_uuid();
  is_blocked boolean;
BEGIN
  IF m ? 'known_as' THEN
    m := flow.recognise(account, channel, m);
    sender_blocked := sender_blocked OR flow.is_blocked(channel, m ->> 'session_key', m -> 'known_as');
  END IF;
  step := CASE WHEN sender_blocked OR is_late OR m ->> 'deferred_until' IS NOT NULL THEN 0 ELSE 1 END;
  WITH s AS (
    INSERT INTO chat_sessions AS s (id, account_id, channel_id, session_key, platform_user_id, platform_username,
      ai_conversation_id, assigned_agent_id, last_arrival_no, message_count, version, user_metadata, last_inbound_at)
    VALUES (gen_random_uuid(), account, channel, m ->> 'session_key', m ->> 'sender_id', m ->> 'sender_name',
      gen_random_uuid(), (m ->> 'agent_id')::uuid, step, 1, 1, m -> 'user_metadata', written_at)
    ON CONFLICT (channel_id, session_key) DO UPDATE SET
      platform_username = COALESCE(excluded.platform_username, s.platform_username),
      status = CASE WHEN s.status = 'blocked' OR step = 0 THEN s.status ELSE 'active' END,
      epoch = s.epoch + CASE WHEN s.status = 'closed' AND step = 1 THEN 1 ELSE 0 END,
      closed_at = CASE WHEN s.status = 'closed' AND step = 0 THEN s.closed_at END,
      last_arrival_no = s.last_arrival_no + CASE WHEN s.status = 'blocked' THEN 0 ELSE step END,
      message_count = s.message_count + 1,
      last_activity_at = now(),
      last_inbound_at = GREATEST(s.last_inbound_at, excluded.last_inbound_at),
      version = s.version + 1
    RETURNING s.id, s.ai_conversation_id, s.status, s.last_arrival_no, s.version
  ), c AS (
    INSERT INTO ai_conversations AS c (id, account_id, conversation_id, title, ai_agent_id, last_sequence,
      message_count, metadata)
    SELECT s.ai_conversation_id, account, gen_random_uuid()::text,
      left('Chat: ' || (m ->> 'platform') || ' - ' || who, 255), (m ->> 'agent_id')::uuid, n.step, n.step,
      jsonb_build_object('chat_session_id', s.id, 'platform', m ->> 'platform')
    FROM s, LATERAL (SELECT CASE WHEN s.status = 'blocked' OR sender_blocked THEN 0 WHEN is_late THEN 1 ELSE step END
      AS step) n
    ON CONFLICT (id, account_id) DO UPDATE SET
      last_sequence = c.last_sequence + excluded.last_sequence,
      message_count = c.message_count + excluded.message_count,
      last_activity_at = now()
    RETURNING c.last_sequence
  )
  SELECT s.*, c.last_sequence INTO STRICT session FROM s, c;
  is_blocked := sender_blocked OR session.status = 'blocked';
  IF (step = 1 OR is_late) AND NOT is_blocked THEN
    INSERT INTO ai_messages (id, account_id, conversation_id, message_id, role, content, sequence_number,
      content_metadata)
    VALUES (gen_random_uuid(), account, session.ai_conversation_id, gen_random_uuid()::text, 'user', m ->> 'content',
      session.last_sequence, jsonb_build_object('sender_name', m ->> 'sender_name'))
    RETURNING id INTO twin_id;
  END IF;
  IF step = 0 OR is_blocked THEN
    UPDATE inbound_events SET state = CASE WHEN is_blocked THEN 'blocked' WHEN is_late THEN 'late' ELSE 'deferred' END,
      reason = CASE WHEN is_blocked THEN 'the sender is blocked'
        WHEN is_late THEN 'said too long ago, while nobody listened' ELSE 'over the rate limit' END
    WHERE id = (m ->> 'inbound_event_id')::uuid;
  END IF;
  INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, message_type, content,
    sanitized_content, delivery_status, arrival_no, order_key, late, handled_at, deferred_until, platform_message_id,
    reply_to, platform_metadata, attachments, ai_message_id, inbound_event_id, trace_id, delivered_at)
  VALUES (message_id, account, channel, session.id, 'inbound', m ->> 'message_type', m ->> 'content',
    m ->> 'sanitized', 'delivered', CASE WHEN step = 1 AND NOT is_blocked THEN session.last_arrival_no END,
    m ->> 'order_key', is_late, CASE WHEN is_blocked OR is_late THEN now() END,
    CASE WHEN NOT is_blocked AND NOT is_late THEN (m ->> 'deferred_until')::timestamptz END,
    m ->> 'platform_message_id', m -> 'reply_to', m -> 'metadata', m -> 'attachments', twin_id,
    (m ->> 'inbound_event_id')::uuid, m ->> 'trace_id', now());
  IF jsonb_array_length(m -> 'attachments') > 0 THEN
    INSERT INTO chat_message_attachments (id, account_id, message_id, position, attachment_type, mime_type, filename,
      platform_file_id, file_size, state, reason, settled_at)
    SELECT gen_random_uuid(), account, message_id, f.position - 1, COALESCE(f.file ->> 'type', 'document'),
      COALESCE(f.file ->> 'mime_type', 'application/octet-stream'), f.file ->> 'filename', f.file ->> 'remote_ref',
      (f.file ->> 'size')::bigint, CASE WHEN is_blocked THEN 'refused' ELSE 'waiting' END,
      CASE WHEN is_blocked THEN 'the sender is blocked' END, CASE WHEN is_blocked THEN now() END
    FROM jsonb_array_elements(m -> 'attachments') WITH ORDINALITY AS f(file, position);
  END IF;
  INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
  VALUES (account, 'session:' || session.id, session.version, 'arrival', 'message_received', '{}',
    jsonb_build_object('message_id', message_id, 'numbered', step = 1 AND NOT is_blocked, 'spoken', twin_id IS NOT NULL, 'begun', session.version = 1),
    m ->> 'trace_id');
  RETURN session.id;
END $$;

-- A verified webhook with one message, in one round trip. m as above, and of the webhook: {headers, dedup_key, kind, raw_index,
-- target}. Returns the session; NULL for a repeat, of which no trace is left: one that comes while the first is under way
-- waits for it. Raises PN002 when the channel is not any more what the webhook was verified and parsed with.

CREATE OR REPLACE FUNCTION flow.ingest_message(account uuid, channel uuid, seen_version bigint, body bytea, m jsonb)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  sender_blocked boolean;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT EXISTS (
    SELECT 1 FROM chat_blacklists b WHERE b.platform_user_id = m ->> 'sender_id'
      AND (b.channel_id IS NULL OR b.channel_id = channel) AND (b.expires_at IS NULL OR b.expires_at > now()))
  INTO sender_blocked FROM chat_channels c WHERE c.id = channel AND c.version = seen_version;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the channel changed' USING ERRCODE = 'PN002';
  END IF;
  WITH item AS (
    INSERT INTO inbound_events (id, account_id, channel_id, delivery_id, dedup_key, kind, raw_index, target_message_id)
    VALUES ((m ->> 'inbound_event_id')::uuid, account, channel, gen_random_uuid(), m ->> 'dedup_key', m ->> 'kind',
      (m ->> 'raw_index')::int, m ->> 'target')
    ON CONFLICT (channel_id, dedup_key) DO NOTHING
    RETURNING delivery_id
  )
  INSERT INTO webhook_deliveries (id, account_id, channel_id, headers, body, outcome, trace_id)
  SELECT item.delivery_id, account, channel, m -> 'headers', body, 'recorded', m ->> 'trace_id' FROM item;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN flow.record_message(account, channel, m, sender_blocked);
END $$;
