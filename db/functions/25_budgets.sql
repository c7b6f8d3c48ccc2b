-- Budgets: tokens are reserved before a model is asked and replaced by what was really used (BUDGET).
--
-- Whoever changes a budget's counters locks all the budgets concerned first, in the order of their ids, and after the
-- session's row where that is locked too: so no two wait for each other.

-- When the period began that is running now; all periods are in UTC.

CREATE OR REPLACE FUNCTION flow.period_start(period text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE period WHEN 'total' THEN '-infinity'::timestamptz ELSE date_trunc(period, now(), 'UTC') END;
END $$;

-- When a budget starts anew; NULL: never.

CREATE OR REPLACE FUNCTION flow.period_end(period text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN period <> 'total' THEN
    (date_trunc(period, now() AT TIME ZONE 'UTC') + ('1 ' || period)::interval) AT TIME ZONE 'UTC' END;
END $$;

-- Locks budgets, and begins their new period where the old one has ended. What is reserved stays: those requests are
-- still under way, and are charged to the period in which they end.

CREATE OR REPLACE FUNCTION flow.lock_budgets(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM ai_budgets b WHERE b.id = ANY(ids) ORDER BY b.id FOR NO KEY UPDATE;
  UPDATE ai_budgets b SET spent_tokens = 0, period_started_at = flow.period_start(b.period), version = b.version + 1
  WHERE b.id = ANY(ids) AND b.period_started_at < flow.period_start(b.period);
END $$;

-- Reserves what a model request may cost at most. Shape: {tokens} reserved, {scope, period} of the budget that is used
-- up, or NULL when no budget applies. A budget with anything left admits one request more, so it is exceeded by one at
-- most. Idempotent by (turn, step): a killed attempt's reservation serves its retry.

CREATE OR REPLACE FUNCTION flow.reserve_budget(account uuid, agent uuid, turn uuid, at_step int, wanted bigint)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  ids uuid[] := ARRAY(SELECT b.id FROM ai_budgets b
    WHERE b.account_id = account AND (b.agent_id IS NULL OR b.agent_id = agent));
  held bigint;
  refusal jsonb;
BEGIN
  IF ids = '{}' THEN
    RETURN NULL;
  END IF;
  PERFORM flow.lock_budgets(ids);
  SELECT r.tokens INTO held FROM budget_reservations r WHERE r.turn_id = turn AND r.step = at_step;
  IF FOUND THEN
    RETURN jsonb_build_object('tokens', held);
  END IF;
  SELECT jsonb_build_object('scope', CASE WHEN b.agent_id IS NULL THEN 'account' ELSE 'agent' END, 'period', b.period)
  INTO refusal FROM ai_budgets b WHERE b.id = ANY(ids) AND b.spent_tokens + b.reserved_tokens >= b.cap_tokens
  ORDER BY b.agent_id IS NULL, b.period DESC LIMIT 1;
  IF FOUND THEN
    RETURN refusal;
  END IF;
  UPDATE ai_budgets b SET reserved_tokens = b.reserved_tokens + wanted, version = b.version + 1 WHERE b.id = ANY(ids);
  INSERT INTO budget_reservations (account_id, turn_id, step, tokens, budget_ids)
  VALUES (account, turn, at_step, wanted, ids);
  RETURN jsonb_build_object('tokens', wanted);
END $$;

-- Replaces the reservation of a model step by what it used; what a provider did not count is charged as reserved. A
-- step without one (its budget is younger, or the reservation was released meanwhile) is charged all the same.
-- made: see flow.save_step.

CREATE OR REPLACE FUNCTION flow.charge_budget(account uuid, turn uuid, made jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  at_step int := (made ->> 'step')::int;
  used bigint := (made ->> 'input_tokens')::bigint + (made ->> 'output_tokens')::bigint;
  held bigint;
  ids uuid[];
BEGIN
  IF made ->> 'kind' <> 'model' OR NOT EXISTS (SELECT 1 FROM ai_budgets b WHERE b.account_id = account) THEN
    RETURN;
  END IF;
  SELECT r.budget_ids INTO ids FROM budget_reservations r WHERE r.turn_id = turn AND r.step = at_step;
  ids := COALESCE(ids, ARRAY(SELECT b.id FROM ai_budgets b WHERE b.account_id = account
    AND (b.agent_id IS NULL OR b.agent_id = (SELECT t.agent_id FROM turns t WHERE t.id = turn))));
  PERFORM flow.lock_budgets(ids);
  DELETE FROM budget_reservations r WHERE r.turn_id = turn AND r.step = at_step RETURNING r.tokens INTO held;
  UPDATE ai_budgets b SET reserved_tokens = GREATEST(b.reserved_tokens - COALESCE(held, 0), 0),
    spent_tokens = b.spent_tokens + COALESCE(NULLIF(used, 0), held, 0), version = b.version + 1
  WHERE b.id = ANY(ids);
END $$;

-- Gives back what a turn that has ended still holds: nothing came of those requests.

CREATE OR REPLACE FUNCTION flow.release_budget(account uuid, turn uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ids uuid[];
BEGIN
  PERFORM set_config('app.account_id', account::text, true);
  SELECT array_agg(DISTINCT x.id) INTO ids
  FROM budget_reservations r CROSS JOIN unnest(r.budget_ids) AS x(id) WHERE r.turn_id = turn;
  IF ids IS NULL THEN
    RETURN;
  END IF;
  PERFORM flow.lock_budgets(ids);
  WITH gone AS (DELETE FROM budget_reservations r WHERE r.turn_id = turn RETURNING r.tokens, r.budget_ids),
    freed AS (SELECT x.id, sum(g.tokens) AS tokens FROM gone g CROSS JOIN unnest(g.budget_ids) AS x(id) GROUP BY x.id)
  UPDATE ai_budgets b SET reserved_tokens = GREATEST(b.reserved_tokens - f.tokens, 0), version = b.version + 1
  FROM freed f WHERE b.id = f.id;
END $$;
