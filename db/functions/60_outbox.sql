-- What an arrival's row stands for: the signal to the session's workflow and what readers are told, shaped when it leaves.
-- Views are of that moment: newer than the arrival at most, and their versions say so. The first row carries the outbox
-- row's id, by which it is deleted; the others negative ids of their own, so that the log of a stream can tell repeats.
-- Files are asked for once they are seen waiting: those of a late or deferred message too, those of a blocked person never.

CREATE OR REPLACE FUNCTION flow.arrival_rows(row_id bigint, told jsonb, at timestamptz)
RETURNS TABLE (id bigint, kind text, name text, data text, streams text[]) LANGUAGE plpgsql STABLE AS $$
DECLARE
  message chat_messages;
  session chat_sessions;
  twin ai_messages;
  talk text;
  view jsonb;
BEGIN
  SELECT m.* INTO message FROM chat_messages m WHERE m.id = (told ->> 'message_id')::uuid;
  IF NOT FOUND THEN
    -- Nobody is told of what is gone; the row still leaves, or it would hold up its session for ever.
    RETURN QUERY SELECT row_id, 'event', 'Gone', 'null', '{}'::text[];
    RETURN;
  END IF;
  SELECT s.* INTO STRICT session FROM chat_sessions s WHERE s.id = message.session_id;
  view := flow.session_view(session);
  IF (told ->> 'numbered')::boolean THEN
    RETURN QUERY SELECT row_id, 'signal', 'message_received', jsonb_build_object(
      'session_id', session.id, 'channel_id', message.channel_id, 'platform', view ->> 'platform',
      'arrival_no', message.arrival_no, 'order_key', message.order_key, 'message_id', message.id,
      'files', flow.waits_for_files(message))::text, '{}'::text[];
  END IF;
  IF jsonb_array_length(message.attachments) > 0 AND EXISTS (
    SELECT 1 FROM chat_message_attachments f WHERE f.message_id = message.id AND f.state = 'waiting') THEN
    RETURN QUERY SELECT -4 * row_id - 3, 'signal', 'media_wanted', jsonb_build_object(
      'session_id', session.id, 'channel_id', message.channel_id, 'platform', view ->> 'platform',
      'message_id', message.id)::text, '{}'::text[];
  END IF;
  IF (told ->> 'spoken')::boolean THEN
    SELECT a.* INTO STRICT twin FROM ai_messages a WHERE a.id = message.ai_message_id;
    SELECT c.conversation_id INTO STRICT talk FROM ai_conversations c WHERE c.id = twin.conversation_id;
    RETURN QUERY SELECT -4 * row_id, 'event', 'MessageCreated', flow.event_at(at, 'message_created', jsonb_build_object(
      'conversation_id', talk, 'message', flow.conversation_message_view(twin)))::text,
      ARRAY['ai_conversation_' || talk];
  END IF;
  RETURN QUERY SELECT
    CASE WHEN (told ->> 'numbered')::boolean THEN -4 * row_id - 1 ELSE row_id END, 'event', 'ChatMessageCreated',
    flow.event_at(at, 'message_created', jsonb_build_object('session_id', session.id, 'message',
      flow.message_view(message)))::text, ARRAY['chat_session_' || session.id];
  RETURN QUERY SELECT -4 * row_id - 2, 'event', 'SessionUpdated', flow.event_at(at, 'session_updated',
    jsonb_build_object('session', view))::text,
    ARRAY['chat_session_' || session.id, 'chat_channel_' || message.channel_id];
  IF COALESCE((told ->> 'begun')::boolean, false) THEN
    -- A number far from all the others: one out of five would make new numbers of those that old processes still use.
    RETURN QUERY SELECT -(1::bigint << 62) - row_id, 'event', 'ConversationCreated', flow.event_at(at, 'conversation_created',
      jsonb_build_object('conversation', flow.conversation_view(c)))::text,
      ARRAY['ai_conversations_list:account_' || session.account_id]
    FROM ai_conversations c WHERE c.id = session.ai_conversation_id;
  END IF;
END $$;

-- Takes an aggregate for sending and returns its rows in order. No row at all: another process has it. The lock belongs
-- to the database session, so that no transaction stays open while Temporal and Redis are called; it ends with
-- flow.outbox_done or with the connection. A row without an id: nothing waits.

CREATE OR REPLACE FUNCTION flow.outbox_take(account uuid, wanted text)
RETURNS TABLE (id bigint, kind text, name text, data text, streams text[], trace_id text) LANGUAGE plpgsql AS $$
DECLARE
  waiting outbox;
  found_any boolean := false;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  IF NOT pg_try_advisory_lock(hashtextextended(wanted, 0)) THEN
    RETURN;
  END IF;
  FOR waiting IN SELECT o.* FROM outbox o WHERE o.aggregate = wanted ORDER BY o.aggregate_version, o.id LIMIT 200 LOOP
    found_any := true;
    IF waiting.kind = 'arrival' THEN
      RETURN QUERY SELECT r.id, r.kind, r.name, r.data, r.streams, waiting.trace_id
      FROM flow.arrival_rows(waiting.id, waiting.data, waiting.created_at) r;
    ELSE
      RETURN QUERY SELECT waiting.id, waiting.kind, waiting.name, waiting.data::text, waiting.streams, waiting.trace_id;
    END IF;
  END LOOP;
  IF NOT found_any THEN
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
