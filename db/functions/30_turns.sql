-- A turn opened, or found again, with all that its next model request needs. Shape: {turn_status, owner, session_status,
-- conversation_id, public_id, configuration, agent: {id, name, provider, model, system_prompt, tools, settings, status} |
-- null, context: [[role, content], ...], steps: [[step, kind, name, request, response, input_tokens, output_tokens], ...],
-- budget: see flow.reserve_budget}. NULL when the session is gone. Idempotent by turn and `at_step`, the model step to be
-- made next: what it may cost is reserved here (a token is taken for four characters).
--
-- Context: what an earlier turn answered (or nobody will) comes before what this turn answers; a message that still
-- waits for its own turn is not shown yet.

-- Under what was said stands what became of its files (db/attachments.py).

CREATE OR REPLACE FUNCTION flow.with_files(content text, kept jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT content || COALESCE(E'\n' || (kept ->> 'files'), '')
$$;

DROP FUNCTION IF EXISTS flow.begin_turn(uuid, uuid, uuid, uuid[], text, boolean, int);
CREATE OR REPLACE FUNCTION flow.begin_turn(
  account uuid, turn uuid, session uuid, messages uuid[], trace text, with_steps boolean, context_limit int, at_step int
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  s record;
  stand text;
  unseen uuid[];
  answer jsonb;
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT x.owner, x.status, x.ai_conversation_id, v.conversation_id, c.configuration,
    CASE WHEN a.id IS NOT NULL THEN jsonb_build_object('id', a.id, 'name', a.name, 'provider', a.provider,
      'model', a.model, 'system_prompt', a.system_prompt, 'tools', to_jsonb(a.tools), 'settings', a.settings,
      'status', a.status) END AS agent, a.id AS agent_id
  INTO s
  FROM chat_sessions x JOIN chat_channels c ON c.id = x.channel_id
  JOIN ai_conversations v ON v.id = x.ai_conversation_id
  LEFT JOIN ai_agents a ON a.id = COALESCE(x.assigned_agent_id, c.default_agent_id)
  WHERE x.id = session;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  INSERT INTO turns AS t (id, account_id, conversation_id, session_id, agent_id, message_ids, trace_id)
  VALUES (turn, account, s.ai_conversation_id, session, s.agent_id, messages, trace)
  ON CONFLICT (id, account_id) DO NOTHING RETURNING t.status INTO stand;
  IF NOT FOUND THEN
    SELECT t.status INTO stand FROM turns t WHERE t.id = turn;
  END IF;
  unseen := ARRAY(
    SELECT m.ai_message_id FROM chat_messages m
    WHERE m.session_id = session AND m.direction = 'inbound' AND m.handled_at IS NULL AND m.ai_message_id IS NOT NULL
    UNION ALL
    SELECT m.ai_message_id FROM chat_messages m WHERE m.id = ANY(messages) AND m.ai_message_id IS NOT NULL);
  answer := jsonb_build_object(
    'turn_status', stand, 'owner', s.owner, 'session_status', s.status, 'conversation_id', s.ai_conversation_id,
    'public_id', s.conversation_id, 'configuration', s.configuration, 'agent', s.agent,
    'context', COALESCE((
      SELECT jsonb_agg(jsonb_build_array(x.role, x.content) ORDER BY x.now, x.order_key, x.position) FROM (
        (SELECT 0 AS now, a.role, flow.with_files(a.content, a.content_metadata) AS content,
           a.sequence_number AS position, '' AS order_key FROM ai_messages a
         WHERE a.conversation_id = s.ai_conversation_id AND a.deleted_at IS NULL AND a.role IN ('user', 'assistant')
           AND a.id <> ALL(unseen)
         ORDER BY a.sequence_number DESC LIMIT context_limit)
        UNION ALL
        SELECT 1, 'user', flow.with_files(m.content, t.content_metadata), m.arrival_no, m.order_key
        FROM chat_messages m LEFT JOIN ai_messages t ON t.id = m.ai_message_id WHERE m.id = ANY(messages)
      ) x), '[]'::jsonb),
    'steps', CASE WHEN with_steps THEN flow.turn_steps(turn) ELSE '[]'::jsonb END);
  IF stand = 'running' AND s.owner = 'ai' AND s.status <> 'blocked' AND s.agent ->> 'status' = 'active'
    AND EXISTS (SELECT 1 FROM ai_budgets b WHERE b.account_id = account) THEN
    answer := answer || jsonb_build_object('budget', flow.budget_for(account, s.agent, turn, at_step, answer));
  END IF;
  RETURN answer;
END $$;

-- Reserves for a turn's next model step, unless that was made already. answer: what flow.begin_turn found.

CREATE OR REPLACE FUNCTION flow.budget_for(account uuid, agent jsonb, turn uuid, at_step int, answer jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  shown bigint := length(agent ->> 'system_prompt');
BEGIN
  IF EXISTS (SELECT 1 FROM turn_steps t WHERE t.turn_id = turn AND t.step = at_step) THEN
    RETURN NULL;
  END IF;
  shown := shown + (SELECT COALESCE(sum(length(x ->> 1)), 0) FROM jsonb_array_elements(answer -> 'context') x)
    + (SELECT COALESCE(sum(length((x -> 4)::text)), 0) FROM jsonb_array_elements(answer -> 'steps') x);
  RETURN flow.reserve_budget(account, (agent ->> 'id')::uuid, turn, at_step,
    (shown + 3) / 4 + COALESCE(NULLIF((agent -> 'settings' ->> 'max_output_tokens')::bigint, 0), 1024));
END $$;

CREATE OR REPLACE FUNCTION flow.turn_steps(turn uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT COALESCE(jsonb_agg(jsonb_build_array(t.step, t.kind, t.name, t.request, t.response, t.input_tokens,
    t.output_tokens) ORDER BY t.step), '[]'::jsonb)
  FROM turn_steps t WHERE t.turn_id = turn);
END $$;

CREATE OR REPLACE FUNCTION flow.load_steps(account uuid, turn uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  RETURN flow.turn_steps(turn);
END $$;

-- Stores a step and charges what it used; false when it was stored before, which then stands. made: {step, kind, name,
-- request, response, input_tokens, output_tokens}.

CREATE OR REPLACE FUNCTION flow.save_step(account uuid, turn uuid, made jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT flow.store_step(account, turn, made) THEN
    RETURN false;
  END IF;
  PERFORM flow.charge_budget(account, turn, made);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION flow.store_step(account uuid, turn uuid, made jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  INSERT INTO turn_steps (account_id, turn_id, step, kind, name, request, response, input_tokens, output_tokens)
  VALUES (account, turn, (made ->> 'step')::int, made ->> 'kind', made ->> 'name', made -> 'request',
    made -> 'response', (made ->> 'input_tokens')::int, (made ->> 'output_tokens')::int)
  ON CONFLICT (turn_id, step) DO NOTHING;
  RETURN FOUND;
END $$;
