-- Stores an outbound message: the conversation's message, the chat message, its parts, what must leave. The caller has
-- locked the session's row. Returns the message's view.
-- o: {session_id, content, message_type, parts: [{body, plain, payload}], trace_id, turn_id, public_id, user_id, user_name, client_id, answers, handled,
--   processed_no, failure, closing, signal}; exactly one of turn_id and user_id, or neither for a notice of our own.

CREATE OR REPLACE FUNCTION flow.record_outgoing(account uuid, o jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  session chat_sessions;
  talk ai_conversations;
  turn turns;
  twin ai_messages;
  message chat_messages;
  new_id uuid := gen_random_uuid();
  spent record;
BEGIN
  IF (o ->> 'closing')::boolean THEN
    UPDATE chat_sessions SET owner = 'human', owner_version = owner_version + 1, version = version + 1
    WHERE id = (o ->> 'session_id')::uuid AND owner = 'ai' AND user_metadata ? 'needs_human';
  END IF;
  UPDATE chat_sessions s SET version = s.version + 1, message_count = s.message_count + 1,
    processed_no = GREATEST(s.processed_no, (o ->> 'processed_no')::bigint), last_activity_at = now()
  WHERE s.id = (o ->> 'session_id')::uuid RETURNING s.* INTO STRICT session;
  UPDATE chat_messages m SET handled_at = COALESCE(m.handled_at, now()),
    turn_id = COALESCE(m.turn_id, (o ->> 'turn_id')::uuid)
  WHERE m.id = ANY(ARRAY(SELECT h::uuid FROM jsonb_array_elements_text(o -> 'handled') h)) AND m.direction = 'inbound';
  SELECT COALESCE(sum(t.input_tokens), 0)::int AS taken, COALESCE(sum(t.output_tokens), 0)::int AS given INTO spent
  FROM turn_steps t WHERE t.turn_id = (o ->> 'turn_id')::uuid;
  UPDATE turns SET status = CASE WHEN o ->> 'failure' IS NULL THEN 'completed' ELSE 'failed' END,
    reason = o ->> 'failure', finished_at = now(), input_tokens = spent.taken, output_tokens = spent.given
  WHERE id = (o ->> 'turn_id')::uuid RETURNING * INTO turn;
  UPDATE ai_conversations c SET last_sequence = c.last_sequence + 1, message_count = c.message_count + 1,
    total_tokens = c.total_tokens + spent.taken + spent.given, last_activity_at = now()
  WHERE c.id = session.ai_conversation_id RETURNING c.* INTO STRICT talk;
  INSERT INTO ai_messages (id, account_id, conversation_id, message_id, role, content, sequence_number, status,
    user_id, ai_agent_id, token_count, processed_at, content_metadata)
  VALUES (gen_random_uuid(), account, talk.id, o ->> 'public_id', 'assistant', o ->> 'content', talk.last_sequence,
    'completed', (o ->> 'user_id')::uuid, turn.agent_id, spent.taken + spent.given, now(),
    CASE WHEN o ->> 'user_name' IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('sender_name', o ->> 'user_name') END)
  RETURNING * INTO twin;
  INSERT INTO chat_messages (id, account_id, channel_id, session_id, direction, message_type, content, sanitized_content,
    reply_to, ai_message_id, turn_id, author_user_id, client_id, trace_id, platform_metadata)
  VALUES (new_id, account, session.channel_id, session.id, 'outbound', COALESCE(o ->> 'message_type', 'text'),
    o ->> 'content', o ->> 'content',
    COALESCE(
      (SELECT m.reply_to FROM chat_messages m WHERE m.id = (o ->> 'answers')::uuid),
      (SELECT m.reply_to FROM chat_messages m WHERE m.session_id = session.id AND m.direction = 'inbound'
       ORDER BY m.created_at DESC LIMIT 1)),
    twin.id, (o ->> 'turn_id')::uuid, (o ->> 'user_id')::uuid, o ->> 'client_id', o ->> 'trace_id',
    CASE WHEN (o ->> 'closing')::boolean THEN '{"closing": true}'::jsonb ELSE '{}'::jsonb END)
  RETURNING * INTO message;
  INSERT INTO message_deliveries (id, account_id, message_id, session_id, channel_id, part_no, body, plain, payload, nonce)
  SELECT gen_random_uuid(), account, new_id, session.id, session.channel_id, p.number, p.part ->> 'body',
    p.part ->> 'plain', NULLIF(p.part -> 'payload', 'null'), left(replace(new_id::text, '-', ''), 20) || '-' || p.number
  FROM jsonb_array_elements(o -> 'parts') WITH ORDINALITY AS p(part, number);
  INSERT INTO chat_message_attachments (id, account_id, message_id, position, attachment_type, mime_type, filename,
    content_hash, file_size, state, scanned_for_malware, scanned_at, settled_at)
  SELECT gen_random_uuid(), account, new_id, row_number() OVER (ORDER BY p.number) - 1,
    CASE f.file ->> 'type' WHEN 'sticker' THEN 'image' ELSE f.file ->> 'type' END, f.file ->> 'mime_type',
    f.file ->> 'filename', f.file ->> 'digest', (f.file ->> 'size_bytes')::bigint, 'stored', true,
    now(), now()
  FROM jsonb_array_elements(o -> 'parts') WITH ORDINALITY AS p(part, number),
    LATERAL (SELECT p.part -> 'payload' AS file) f
  WHERE f.file ->> 'kind' = 'file';
  PERFORM flow.announce_outgoing(account, session, talk, twin, message, o);
  RETURN flow.message_view(message);
END $$;

-- What readers are told of a new outbound message, and the session's workflow when it does not know of it yet. An
-- agent's answer is announced once: `ai_response_complete` carries the same message.

CREATE OR REPLACE FUNCTION flow.announce_outgoing(
  account uuid, session chat_sessions, talk ai_conversations, twin ai_messages, message chat_messages, o jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  answered boolean := o ->> 'turn_id' IS NOT NULL AND o ->> 'failure' IS NULL;
  view jsonb := flow.session_view(session);
BEGIN
  INSERT INTO outbox (account_id, aggregate, aggregate_version, kind, name, streams, data, trace_id)
  SELECT account, 'session:' || session.id, session.version, r.kind, r.name, r.streams, r.data, o ->> 'trace_id'
  FROM (VALUES
    (1, 'event', CASE WHEN answered THEN 'AiResponseComplete' ELSE 'MessageCreated' END,
      ARRAY['ai_conversation_' || talk.conversation_id],
      flow.event(CASE WHEN answered THEN 'ai_response_complete' ELSE 'message_created' END, jsonb_build_object(
        'conversation_id', talk.conversation_id, 'message', flow.conversation_message_view(twin)))),
    (2, 'event', 'ConversationError', ARRAY['ai_conversation_' || talk.conversation_id],
      CASE WHEN o ->> 'failure' IS NOT NULL THEN flow.event('error', jsonb_build_object(
        'conversation_id', talk.conversation_id, 'message', o ->> 'failure')) END),
    (3, 'event', 'ChatMessageCreated', ARRAY['chat_session_' || session.id], flow.event('message_created',
      jsonb_build_object('session_id', session.id, 'message', flow.message_view(message)))),
    (4, 'event', 'SessionUpdated', ARRAY['chat_session_' || session.id, 'chat_channel_' || session.channel_id],
      flow.event('session_updated', jsonb_build_object('session', view))),
    (5, 'signal', 'deliver_recorded', '{}'::text[], CASE WHEN (o ->> 'signal')::boolean THEN jsonb_build_object(
      'session_id', session.id, 'channel_id', session.channel_id, 'platform', view ->> 'platform',
      'message_id', message.id, 'generation', message.generation) END)
  ) AS r(position, kind, name, streams, data)
  WHERE r.data IS NOT NULL ORDER BY r.position;
END $$;

-- A turn's reply, under the session's lock. `skipped`: why there is none. Returns {message_id, generation, trace_id} of
-- the reply, new or stored before; {skipped} when there is none; NULL when the session is gone. Idempotent by turn_id.

CREATE OR REPLACE FUNCTION flow.record_reply(account uuid, o jsonb, skipped text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  stored jsonb := flow.settle_turn(account, o, skipped);
BEGIN
  PERFORM flow.release_budget(account, (o ->> 'turn_id')::uuid);
  RETURN stored;
END $$;

CREATE OR REPLACE FUNCTION flow.settle_turn(account uuid, o jsonb, skipped text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  session record;
  stored jsonb;
  turn uuid := (o ->> 'turn_id')::uuid;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT s.owner, s.status INTO session FROM chat_sessions s WHERE s.id = (o ->> 'session_id')::uuid
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT jsonb_build_object('message_id', m.id, 'generation', m.generation, 'trace_id', m.trace_id) INTO stored
  FROM chat_messages m WHERE m.turn_id = turn AND m.direction = 'outbound';
  IF FOUND THEN
    RETURN stored;
  END IF;
  skipped := CASE
    WHEN skipped <> '' THEN skipped
    WHEN session.owner = 'human' THEN 'a human has the session'
    WHEN session.status = 'blocked' THEN 'the session is blocked'
    WHEN o ->> 'content' = '' THEN 'nothing to say' END;
  IF skipped IS NULL THEN
    stored := flow.record_outgoing(account, o);
    RETURN jsonb_build_object('message_id', stored -> 'id', 'generation', stored -> 'generation',
      'trace_id', stored -> 'trace_id');
  END IF;
  UPDATE chat_messages SET handled_at = COALESCE(handled_at, now()), turn_id = COALESCE(turn_id, turn)
  WHERE id = ANY(ARRAY(SELECT h::uuid FROM jsonb_array_elements_text(o -> 'handled') h)) AND direction = 'inbound';
  UPDATE turns SET status = 'skipped', reason = skipped, finished_at = now() WHERE id = turn AND status = 'running';
  UPDATE chat_sessions SET processed_no = GREATEST(processed_no, (o ->> 'processed_no')::bigint)
  WHERE id = (o ->> 'session_id')::uuid;
  RETURN jsonb_build_object('skipped', skipped);
END $$;

-- Stores the step that ends a turn, and the reply with it. NULL when the step was stored before, which then stands and
-- is to be recorded instead; else as flow.record_reply. made: see flow.save_step. Budgets are locked last, and shortly.

CREATE OR REPLACE FUNCTION flow.finish_turn(account uuid, made jsonb, o jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  stored jsonb;
BEGIN
  IF NOT flow.store_step(account, (o ->> 'turn_id')::uuid, made) THEN
    RETURN NULL;
  END IF;
  stored := COALESCE(flow.settle_turn(account, o, ''), '{"skipped": "the session is gone"}');
  PERFORM flow.charge_budget(account, (o ->> 'turn_id')::uuid, made);
  RETURN stored;
END $$;
