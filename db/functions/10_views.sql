-- What a reader sees, shaped inside the transaction that changed it. The same views as domain/views.py; a test holds the
-- two together over rows of every kind. In plpgsql, because a function in plain SQL that cannot be inlined is parsed and
-- planned anew with every call.

CREATE OR REPLACE FUNCTION flow.moment(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT replace(to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
$$;

CREATE OR REPLACE FUNCTION flow.session_view(s chat_sessions) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'id', s.id, 'channel_id', s.channel_id,
    'platform', (SELECT c.platform FROM chat_channels c WHERE c.id = s.channel_id),
    'platform_user_id', s.platform_user_id, 'platform_username', s.platform_username, 'status', s.status,
    'owner', s.owner, 'message_count', s.message_count,
    'assigned_agent', (SELECT a.name FROM ai_agents a WHERE a.id = s.assigned_agent_id),
    'ai_conversation_id', s.ai_conversation_id, 'last_activity_at', flow.moment(s.last_activity_at),
    'created_at', flow.moment(s.created_at), 'version', s.version);
END $$;

CREATE OR REPLACE FUNCTION flow.formatted_size(size bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN u.unit IS NULL THEN size || ' B'
    ELSE (size * 10 + u.bytes / 2) / u.bytes / 10 || '.' || (size * 10 + u.bytes / 2) / u.bytes % 10 || ' ' || u.unit END
  FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT * FROM (VALUES ('GB', 1073741824::bigint), ('MB', 1048576), ('KB', 1024)) v(unit, bytes)
    WHERE size >= v.bytes ORDER BY v.bytes DESC LIMIT 1) u ON true
$$;

-- The files of a message, in their order; also what domain/views.py reads (db/rows.py), so that the two cannot differ.
CREATE OR REPLACE FUNCTION flow.message_files(message uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN COALESCE((
    SELECT jsonb_agg(jsonb_build_object(
      'id', f.id, 'attachment_type', f.attachment_type, 'mime_type', f.mime_type, 'filename', f.filename,
      'file_size', f.file_size, 'formatted_size', flow.formatted_size(f.file_size),
      'dimensions', CASE WHEN f.metadata ? 'width' THEN
        jsonb_build_object('width', f.metadata -> 'width', 'height', f.metadata -> 'height') END,
      'duration', f.metadata -> 'duration', 'transcription', f.transcription, 'state', f.state, 'reason', f.reason,
      'safe', f.state = 'stored' AND f.scanned_for_malware AND NOT f.malware_detected) ORDER BY f.position)
    FROM chat_message_attachments f WHERE f.message_id = message), '[]'::jsonb);
END $$;

CREATE OR REPLACE FUNCTION flow.message_view(m chat_messages) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'id', m.id, 'session_id', m.session_id, 'direction', m.direction, 'message_type', m.message_type,
    'content', m.content, 'delivery_status', m.delivery_status,
    'delivery_detail', COALESCE((
      SELECT jsonb_agg(jsonb_build_object(
        'part', d.part_no, 'status', d.status, 'attempts', d.attempts, 'platform_message_id', d.platform_message_id,
        'error_code', d.error_code, 'error', d.error_message) ORDER BY d.part_no)
      FROM message_deliveries d WHERE d.message_id = m.id AND d.generation = m.generation), '[]'::jsonb),
    'attachments', flow.message_files(m.id),
    'generation', m.generation, 'arrival_no', m.arrival_no, 'late', m.late, 'platform_message_id', m.platform_message_id,
    'ai_message_id', m.ai_message_id, 'trace_id', m.trace_id, 'sent_at', flow.moment(m.sent_at),
    'delivered_at', flow.moment(m.delivered_at), 'read_at', flow.moment(m.read_at),
    'created_at', flow.moment(m.created_at), 'version', m.version);
END $$;

CREATE OR REPLACE FUNCTION flow.conversation_message_view(a ai_messages) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'id', a.message_id, 'content', a.content,
    'sender_type', CASE a.role WHEN 'assistant' THEN 'ai' ELSE a.role END,
    'sender_info', jsonb_build_object(
      'id', COALESCE(a.user_id::text, a.ai_agent_id::text),
      'name', COALESCE((SELECT u.name FROM users u WHERE u.id = a.user_id),
        (SELECT g.name FROM ai_agents g WHERE g.id = a.ai_agent_id), a.content_metadata ->> 'sender_name')),
    'sequence_number', a.sequence_number, 'created_at', flow.moment(a.created_at),
    'metadata', jsonb_build_object('streaming', false, 'tokens_used', a.token_count,
      'processing', a.status = 'processing', 'error', a.status = 'failed', 'error_message', a.error_message));
END $$;

-- A conversation in the account's list; what each message changes is no part of it.
CREATE OR REPLACE FUNCTION flow.conversation_view(c ai_conversations) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN jsonb_build_object(
    'id', c.conversation_id, 'title', c.title, 'status', c.status, 'conversation_type', c.conversation_type,
    'agent_id', c.ai_agent_id, 'agent', (SELECT a.name FROM ai_agents a WHERE a.id = c.ai_agent_id),
    'platform', c.metadata ->> 'platform', 'chat_session_id', c.metadata ->> 'chat_session_id',
    'created_at', flow.moment(c.created_at), 'version', c.version);
END $$;

-- An event's payload, as domain/events.py spells it, at the transaction's time or at a time of its own.
CREATE OR REPLACE FUNCTION flow.event_at(at timestamptz, kind text, rest jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('timestamp', flow.moment(at), 'type', kind) || rest
$$;

CREATE OR REPLACE FUNCTION flow.event(kind text, rest jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT flow.event_at(now(), kind, rest)
$$;
