-- Whose conversation it is, where the platform has several names for a person. Of `m`: known_as, all the names that came with
-- the message; person, the one of them that is nobody else's ever, where it came with one (a telephone number is not).

-- Returns `m` with the session key under which the person is found: the oldest conversation under any of their names, else
-- the key that the message came with. Their names are kept. A name under which somebody else is known is not theirs, however
-- much it was: they begin under the name that is theirs alone.

CREATE OR REPLACE FUNCTION flow.recognise(account uuid, channel uuid, m jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  names text[] := ARRAY(SELECT jsonb_array_elements_text(m -> 'known_as'));
  own text := m ->> 'person';
  found text;
BEGIN
  SELECT a.session_key INTO found FROM session_aliases a WHERE a.channel_id = channel AND a.alias = own;
  IF found IS NULL THEN
    SELECT k.session_key INTO found FROM (
      SELECT a.session_key, a.created_at FROM session_aliases a WHERE a.channel_id = channel AND a.alias = ANY(names)
      UNION ALL
      SELECT s.session_key, s.created_at FROM chat_sessions s WHERE s.channel_id = channel AND s.session_key = ANY(names)
    ) k
    WHERE own IS NULL OR NOT EXISTS (
      SELECT 1 FROM session_aliases a
      WHERE a.channel_id = channel AND a.session_key = k.session_key AND a.theirs_alone AND a.alias <> own)
    ORDER BY k.created_at LIMIT 1;
  END IF;
  IF found IS NULL THEN
    found := CASE WHEN own IS NOT NULL AND EXISTS (
      SELECT 1 FROM chat_sessions s WHERE s.channel_id = channel AND s.session_key = m ->> 'session_key')
      THEN own ELSE m ->> 'session_key' END;
  END IF;
  INSERT INTO session_aliases (account_id, channel_id, alias, session_key, theirs_alone)
  SELECT account, channel, n, found, n IS NOT DISTINCT FROM own FROM unnest(names) n
  WHERE NOT EXISTS (
      SELECT 1 FROM session_aliases a WHERE a.channel_id = channel AND a.alias = n AND a.session_key = found)
    AND (n IS NOT DISTINCT FROM own OR NOT EXISTS (
      SELECT 1 FROM chat_sessions s WHERE s.channel_id = channel AND s.session_key = n))
    AND (n IS NOT DISTINCT FROM own OR n <> found)
  ON CONFLICT (channel_id, alias) DO UPDATE SET session_key = excluded.session_key;
  RETURN m || jsonb_build_object('session_key', found);
END $$;

-- Whether somebody is blocked under any of their names.

CREATE OR REPLACE FUNCTION flow.is_blocked(channel uuid, key text, names jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM chat_blacklists b
    WHERE (b.platform_user_id = key OR names ? b.platform_user_id OR b.platform_user_id IN (
        SELECT a.alias FROM session_aliases a WHERE a.channel_id = channel AND a.session_key = key))
      AND (b.channel_id IS NULL OR b.channel_id = channel) AND (b.expires_at IS NULL OR b.expires_at > now()));
END $$;
