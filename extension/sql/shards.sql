-- What routers (coupon_guard_router, docs/shards.md) ask of a shard, besides what transfers units (rights.sql). Each call is a transaction of
-- its own. They run with the rights of the router's role, and keep no state but the table that follows.

-- Looks at all shards for units of a limit, by those who were refused here. The result of a look that began after a buyer had been
-- refused may be his answer too. Lost in a crash, and begun anew with later numbers: then nobody shares what was looked for before it.
CREATE UNLOGGED TABLE @extschema@.coupon_look (
  kind pg_catalog."char",
  name_key pg_catalog.text COLLATE pg_catalog."C",
  begun pg_catalog.int8 NOT NULL,
  in_vain pg_catalog.int8 NOT NULL DEFAULT 0,
  unanswered pg_catalog.int8 NOT NULL DEFAULT 0,
  used pg_catalog.int8,
  PRIMARY KEY (kind, name_key)
);
COMMENT ON TABLE @extschema@.coupon_look IS
  'looks of routers at all shards, for units of a limit; unlogged, for its rows may be lost at any time';
COMMENT ON COLUMN @extschema@.coupon_look.kind IS 'which limit it is, as in coupon_quota; f: codes of a campaign that nobody holds';
COMMENT ON COLUMN @extschema@.coupon_look.name_key IS 'coupon_key() of the coupon''s code, or of the campaign''s name';
COMMENT ON COLUMN @extschema@.coupon_look.begun IS 'number of the look that was begun last: the microsecond in which it began, since 1970, or a later one';
COMMENT ON COLUMN @extschema@.coupon_look.in_vain IS 'the last one that found that no shard has anything; 0: none has';
COMMENT ON COLUMN @extschema@.coupon_look.unanswered IS 'the last one in which a shard that may have something did not answer; 0: there was none';
COMMENT ON COLUMN @extschema@.coupon_look.used IS 'what had been used here when units were last moved ahead of need; NULL: they have not been';

CREATE FUNCTION @extschema@.coupon_shard_begin_look(kind pg_catalog."char", name pg_catalog.text)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  number int8;
BEGIN
  INSERT INTO @extschema@.coupon_look AS l (kind, name_key, begun)
  VALUES ($1, @extschema@.coupon_key($2), (extract(epoch FROM clock_timestamp()) * 1000000)::int8)
  ON CONFLICT ON CONSTRAINT coupon_look_pkey DO UPDATE SET begun = greatest(l.begun + 1, excluded.begun)
  RETURNING begun INTO number;
  RETURN number;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_begin_look(pg_catalog."char", pg_catalog.text) IS
  'for routers: begins a look at all shards for units of a limit, and returns its number';

CREATE FUNCTION @extschema@.coupon_shard_end_look(
  kind pg_catalog."char", name pg_catalog.text, number pg_catalog.int8, is_answered pg_catalog.bool)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  UPDATE @extschema@.coupon_look AS l
  SET in_vain = CASE WHEN $4 THEN greatest(l.in_vain, $3) ELSE l.in_vain END,
      unanswered = CASE WHEN $4 THEN l.unanswered ELSE greatest(l.unanswered, $3) END
  WHERE l.kind = $1 AND l.name_key = @extschema@.coupon_key($2);
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_end_look(pg_catalog."char", pg_catalog.text, pg_catalog.int8, pg_catalog.bool) IS
  'for routers: ends a look that found nothing, for no shard has anything, or because one did not answer';

-- What there is of a limit here. Under way is also what users who move have with them: a hold of theirs may end on the way. The evidence is of the statement's snapshot, the rest is read after it was taken: who gets the same
-- evidence twice knows that nothing came or went from the first reading to the second snapshot.
CREATE FUNCTION @extschema@.coupon_shard_units(name pg_catalog.text, kind pg_catalog."char")
RETURNS TABLE (
  shard pg_catalog.text, granted pg_catalog.int8, used pg_catalog.int8, remaining pg_catalog.int8, is_dry pg_catalog.bool, under_way pg_catalog.int8,
  has_holder pg_catalog.bool, transfers pg_catalog.int8, evidence pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM @extschema@.coupon_shard) THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  END IF;
  RETURN QUERY
  SELECT u.shard, u.granted, u.used, u.remaining, u.is_dry,
         u.under_way + (SELECT coalesce(sum(r.units), 0)::int8
                        FROM @extschema@.coupon_user_transfer AS m
                        CROSS JOIN LATERAL jsonb_to_recordset(m.payload->'rights') AS r (kind "char", owner_id int8, units int8)
                        WHERE m.direction = 'o' AND m.settled_at IS NULL AND r.kind = $2 AND r.owner_id = u.owner_id),
         coalesce(c.holder IS NOT NULL, false), u.transfers,
         concat_ws(' ', u.owner_id, u.transfers,
                   (SELECT md5(string_agg(concat_ws(' ', q.stripe, q.remaining, q.xmin, q.ctid), ',' ORDER BY q.stripe))
                    FROM @extschema@.coupon_quota AS q
                    WHERE q.owner_id = u.owner_id AND q.kind = $2))
  FROM @extschema@.coupon_guard_units($1, $2) AS u
  LEFT JOIN @extschema@.coupon AS c ON $2 IN ('c', 'b') AND c.id = u.owner_id
  WHERE $2 <> 'f' AND u.owner_id IS NOT NULL
  UNION ALL
  SELECT s.name, NULL, NULL, NULL, NULL, 0, false, 0, 'no limit'
  FROM @extschema@.coupon AS c, @extschema@.coupon_shard AS s
  WHERE c.code_key = @extschema@.coupon_key($1) AND CASE $2 WHEN 'c' THEN c.max_redemptions WHEN 'b' THEN c.budget ELSE 0 END IS NULL
  UNION ALL
  SELECT s.name, NULL, NULL, NULL, NULL, 0, false, 0, 'no limit'
  FROM @extschema@.campaign AS p, @extschema@.coupon_shard AS s
  WHERE p.name_key = @extschema@.coupon_key($1) AND CASE $2 WHEN 'C' THEN p.max_redemptions WHEN 'B' THEN p.budget ELSE 0 END IS NULL
  UNION ALL
  SELECT s.name, free.codes, 0, free.codes, free.codes = 0, way.units, false, way.transfers, concat_ws(' ', p.id, free.codes, way.transfers)
  FROM @extschema@.campaign AS p
  LEFT JOIN @extschema@.coupon_shard AS s ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS codes
    FROM (
      SELECT
      FROM @extschema@.coupon AS c
      WHERE c.campaign_id = p.id AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
        AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
        AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                        WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                          AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
      LIMIT 100) AS f) AS free
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.units) FILTER (WHERE t.direction = 'o' AND t.settled_at IS NULL), 0)::int8 AS units, count(*) AS transfers
    FROM @extschema@.coupon_transfer AS t
    JOIN @extschema@.coupon AS c ON c.id = t.owner_id
    WHERE t.kind = 'c' AND c.campaign_id = p.id) AS way
  WHERE $2 = 'f' AND p.name_key = @extschema@.coupon_key($1);
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_units(pg_catalog.text, pg_catalog."char") IS
  'for routers: what there is of a limit here (NULL: no limit), or (f) how many codes of a campaign that nobody holds; no row: no such coupon; waits for nobody';

CREATE FUNCTION @extschema@.coupon_shard_limits(code pg_catalog.text, campaign pg_catalog.text)
RETURNS TABLE (
  kind pg_catalog."char", name pg_catalog.text, remaining pg_catalog.int8, begun pg_catalog.int8, in_vain pg_catalog.int8,
  unanswered pg_catalog.int8, now pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT here.kind, here.name, here.remaining, coalesce(k.begun, 0), coalesce(k.in_vain, 0), coalesce(k.unanswered, 0),
    (extract(epoch FROM clock_timestamp()) * 1000000)::int8
  FROM (
    SELECT l.place, l.kind, l.name, u.remaining
    FROM @extschema@.coupon AS c
    LEFT JOIN @extschema@.campaign AS p ON p.id = c.campaign_id
    CROSS JOIN LATERAL (VALUES (1, 'C'::"char", p.name, p.max_redemptions, p.rights), (2, 'B', p.name, p.budget, p.budget_rights),
                               (3, 'c', c.code, c.max_redemptions, c.rights), (4, 'b', c.code, c.budget, c.budget_rights))
      AS l (place, kind, name, in_all, rights)
    CROSS JOIN LATERAL @extschema@.coupon_guard_units(l.name, l.kind) AS u
    WHERE c.code_key = @extschema@.coupon_key($1) AND l.in_all IS NOT NULL AND l.rights IS NOT NULL
    UNION ALL
    SELECT 5, 'f', $2, u.remaining FROM @extschema@.coupon_shard_units($2, 'f') AS u
  ) AS here
  LEFT JOIN @extschema@.coupon_look AS k ON k.kind = here.kind AND k.name_key = @extschema@.coupon_key(here.name)
  ORDER BY here.place;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_limits(pg_catalog.text, pg_catalog.text) IS
  'for routers: limits of a coupon that are divided over shards, in the order in which a redemption takes from them, or codes of a campaign; and looks for more';

CREATE FUNCTION @extschema@.coupon_shard_use(name pg_catalog.text, kind pg_catalog."char")
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  used_now CONSTANT int8 := (SELECT u.used FROM @extschema@.coupon_guard_units($1, $2) AS u);
  used_then int8;
BEGIN
  SELECT l.used INTO used_then FROM @extschema@.coupon_look AS l WHERE l.kind = $2 AND l.name_key = @extschema@.coupon_key($1);
  INSERT INTO @extschema@.coupon_look (kind, name_key, begun, used) VALUES ($2, @extschema@.coupon_key($1), 0, used_now)
  ON CONFLICT ON CONSTRAINT coupon_look_pkey DO UPDATE SET used = excluded.used;
  RETURN CASE WHEN used_now < used_then THEN 0 ELSE used_now - used_then END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_use(pg_catalog.text, pg_catalog."char") IS
  'for routers: how much of a limit has been used here since this was asked last; NULL: it was not, or there is no such limit';

CREATE FUNCTION @extschema@.coupon_shard_unsettled(of_kind pg_catalog."char", of_name pg_catalog.text)
RETURNS TABLE (transfer_id pg_catalog.uuid, kind pg_catalog."char", name pg_catalog.text, units pg_catalog.int8, peer pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.transfer_id, t.kind, coalesce(c.code, p.name), t.units, t.peer
  FROM @extschema@.coupon_transfer AS t
  LEFT JOIN @extschema@.coupon AS c ON t.kind IN ('c', 'b') AND c.id = t.owner_id
  LEFT JOIN @extschema@.campaign AS p ON p.id = CASE WHEN t.kind IN ('C', 'B') THEN t.owner_id ELSE c.campaign_id END
  WHERE t.direction = 'o' AND t.settled_at IS NULL
    AND CASE $1 WHEN 'c' THEN t.kind = $1 AND c.code_key = @extschema@.coupon_key($2)
                WHEN 'b' THEN t.kind = $1 AND c.code_key = @extschema@.coupon_key($2)
                WHEN 'f' THEN t.kind = 'c' AND p.name_key = @extschema@.coupon_key($2)
                ELSE $1 IS NULL OR t.kind = $1 AND p.name_key = @extschema@.coupon_key($2) END
    AND coalesce(c.code, p.name) IS NOT NULL
  ORDER BY t.made_at;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_unsettled(pg_catalog."char", pg_catalog.text) IS
  'for routers: units of a limit that have left this shard and of which it is not known that they have arrived; NULL: of all limits';

CREATE FUNCTION @extschema@.coupon_shard_unsettled_users()
RETURNS TABLE (transfer_id pg_catalog.uuid, peer pg_catalog.text, payload pg_catalog.jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT m.transfer_id, m.peer, m.payload
  FROM @extschema@.coupon_user_transfer AS m
  WHERE m.direction = 'o' AND m.settled_at IS NULL AND m.payload IS NOT NULL ORDER BY m.made_at;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_unsettled_users() IS
  'for routers: users who have left this shard and of whom it is not known that they have arrived';

-- A coupon that has a holder goes nowhere: it is with its holder.
CREATE FUNCTION @extschema@.coupon_shard_row(code pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT jsonb_build_object('coupon', to_jsonb(c), 'campaign', to_jsonb(p))
    FROM @extschema@.coupon AS c LEFT JOIN @extschema@.campaign AS p ON p.id = c.campaign_id
    WHERE c.code_key = @extschema@.coupon_key($1));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_row(pg_catalog.text) IS 'for routers: the rows of a coupon and of its campaign; NULL: there is none here';

CREATE FUNCTION @extschema@.coupon_shard_campaign_row(name pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT jsonb_build_object('campaign', to_jsonb(p)) FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key($1));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_campaign_row(pg_catalog.text) IS 'for routers: the row of a campaign; NULL: there is none here';

-- Rights of a limit in a row that is written. Where the limit appears, what has been used here is all that may have been used here:
-- nobody else has rights of it yet, and the home of the row is given the rest at the end. Where it changes, the home has the difference.
CREATE FUNCTION @extschema@.coupon_shard_new_rights(
  is_home pg_catalog.bool, old_limit pg_catalog.int8, old_rights pg_catalog.int8, new_limit pg_catalog.int8, new_rights pg_catalog.int8,
  used pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF new_limit IS NULL AND old_limit IS NOT NULL THEN
    RAISE EXCEPTION 'a limit that is divided over shards cannot be taken away' USING ERRCODE = 'feature_not_supported',
      HINT = 'Raise it.';
  ELSIF new_limit IS NULL THEN
    RETURN CASE WHEN is_home THEN NULL ELSE 0 END;
  ELSIF old_limit IS NOT NULL THEN
    RETURN CASE WHEN is_home THEN coalesce(old_rights, old_limit) + new_limit - old_limit ELSE old_rights END;
  ELSIF new_rights < used THEN
    RAISE EXCEPTION 'the limit % is below what is in use', new_limit USING ERRCODE = 'check_violation';
  END IF;
  RETURN coalesce(new_rights, used);
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_new_rights(pg_catalog.bool, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8,
  pg_catalog.int8) IS 'for routers: which rights a shard has when a limit appears or changes';

-- A row of coupon or campaign, made or changed: what is not in the given one is left as it is. It is the home's, where its limits' rights
-- are at first, or a copy, whose rights come by transfers. Of a new limit what is used already is counted with the ledger locked: so
-- nobody redeems without the limit any more.
DO $put$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('coupon', 'code', 'coupon_id', 'code, active, starts_at, expires_at, max_redemptions, max_per_user, stripes, terms, created_at, budget, campaign_id',
       '{"active": true, "max_per_user": 1}', ', holder', ', new_row.holder'),
      ('campaign', 'name', 'campaign_id', 'name, active, starts_at, expires_at, max_redemptions, max_per_user, budget, terms, created_at',
       '{"active": true}', '', '')) AS t (name, key, ledger_column, columns, defaults, only_new, only_new_values)
  LOOP
    EXECUTE replace(replace(replace(replace(replace(replace(replace(replace($create$
CREATE FUNCTION @extschema@.coupon_shard_put_<name>(given pg_catalog.jsonb, is_home pg_catalog.bool)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
  old_row @extschema@.<name>;
  new_row @extschema@.<name>;
  used record;
BEGIN
  SELECT * INTO old_row FROM @extschema@.<name> AS o WHERE o.<key>_key = @extschema@.coupon_key(given->>'<key>');
  IF NOT FOUND THEN
    new_row := jsonb_populate_record(NULL::@extschema@.<name>, '<defaults>'::jsonb || given);
    new_row.id := coalesce(new_row.id, nextval(pg_get_serial_sequence('@extschema@.<name>', 'id')));
    new_row.rights := CASE WHEN NOT is_home THEN 0 WHEN given ? 'rights' THEN new_row.rights ELSE new_row.max_redemptions END;
    new_row.budget_rights := CASE WHEN NOT is_home THEN 0 WHEN given ? 'budget_rights' THEN new_row.budget_rights ELSE new_row.budget END;
    new_row.created_at := coalesce(new_row.created_at, now());
    INSERT INTO @extschema@.<name> (id, <columns>, rights, budget_rights<only_new>)
    SELECT new_row.id, <new_columns>, new_row.rights, new_row.budget_rights<only_new_values>
    ON CONFLICT (<key>_key) DO NOTHING;
  END IF;
  IF old_row IS NULL AND FOUND THEN
    RETURN (SELECT to_jsonb(n) FROM @extschema@.<name> AS n WHERE n.id = new_row.id);
  END IF;
  SELECT * INTO STRICT old_row FROM @extschema@.<name> AS o WHERE o.<key>_key = @extschema@.coupon_key(given->>'<key>');
  new_row := jsonb_populate_record(old_row, given);
  IF new_row.id <> old_row.id THEN
    RAISE EXCEPTION '<name> "%" is another one on this shard', old_row.<key> USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('Its id here is %s, not %s.', old_row.id, new_row.id);
  END IF;
  IF (old_row.max_redemptions IS NULL AND new_row.max_redemptions IS NOT NULL) OR (old_row.budget IS NULL AND new_row.budget IS NOT NULL) THEN
    LOCK TABLE @extschema@.coupon_redemption IN SHARE MODE;
    SELECT count(*) AS units, coalesce(sum(r.amount), 0)::int8 AS amount INTO used
    FROM @extschema@.coupon_redemption AS r WHERE r.<ledger_column> = old_row.id AND r.voided_at IS NULL;
  ELSE
    SELECT 0::int8 AS units, 0::int8 AS amount INTO used;
  END IF;
  SELECT * INTO STRICT old_row FROM @extschema@.<name> AS o WHERE o.id = new_row.id FOR UPDATE;
  new_row := jsonb_populate_record(old_row, given);
  new_row.rights := @extschema@.coupon_shard_new_rights(is_home, old_row.max_redemptions, old_row.rights, new_row.max_redemptions,
    CASE WHEN is_home THEN (given->>'rights')::int8 END, used.units);
  new_row.budget_rights := @extschema@.coupon_shard_new_rights(is_home, old_row.budget, old_row.budget_rights, new_row.budget,
    CASE WHEN is_home THEN (given->>'budget_rights')::int8 END, used.amount);
  UPDATE @extschema@.<name> AS o SET (<columns>, rights, budget_rights) = ROW (<new_columns>, new_row.rights, new_row.budget_rights)
  WHERE o.id = new_row.id;
  RETURN (SELECT to_jsonb(n) FROM @extschema@.<name> AS n WHERE n.id = new_row.id);
END
$body$$create$, '<name>', one.name), '<key>', one.key), '<ledger_column>', one.ledger_column), '<columns>', one.columns),
      '<new_columns>', regexp_replace(one.columns, E'(\\w+)(,|$)', E'new_row.\\1\\2', 'g')), '<defaults>', one.defaults),
      '<only_new>', one.only_new), '<only_new_values>', one.only_new_values);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.coupon_shard_put_%s(pg_catalog.jsonb, pg_catalog.bool) IS %L', one.name,
      format('for routers: make or change a row of %s, at its home or as a copy; the row as it is then', one.name));
  END LOOP;
END
$put$;

CREATE FUNCTION @extschema@.coupon_shard_delete(coupon pg_catalog.text, campaign pg_catalog.text)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  number CONSTANT int8 := (SELECT s.number FROM @extschema@.coupon_shard AS s);
BEGIN
  DELETE FROM @extschema@.coupon_look AS l
  WHERE (l.kind IN ('c', 'b') AND l.name_key = @extschema@.coupon_key($1)) OR (l.kind IN ('C', 'B', 'f') AND l.name_key = @extschema@.coupon_key($2));
  -- With its rights gone from here, or all of them home: a unit that has just come is not deleted along with its row.
  DELETE FROM @extschema@.coupon AS c
  WHERE c.code_key = @extschema@.coupon_key($1)
    AND (c.max_redemptions IS NULL OR coalesce(c.rights, c.max_redemptions) = CASE WHEN c.id >> 40 = number THEN c.max_redemptions ELSE 0 END)
    AND (c.budget IS NULL OR coalesce(c.budget_rights, c.budget) = CASE WHEN c.id >> 40 = number THEN c.budget ELSE 0 END);
  DELETE FROM @extschema@.campaign AS p
  WHERE p.name_key = @extschema@.coupon_key($2)
    AND (p.max_redemptions IS NULL OR coalesce(p.rights, p.max_redemptions) = CASE WHEN p.id >> 40 = number THEN p.max_redemptions ELSE 0 END)
    AND (p.budget IS NULL OR coalesce(p.budget_rights, p.budget) = CASE WHEN p.id >> 40 = number THEN p.budget ELSE 0 END);
  IF EXISTS (SELECT FROM @extschema@.coupon AS c WHERE c.code_key = @extschema@.coupon_key($1))
     OR EXISTS (SELECT FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key($2)) THEN
    RAISE EXCEPTION 'not all units of "%" are home', left(coalesce($1, $2), 255) USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'What is redeemed or held stays. Call drop_coupon() or drop_campaign() of a router again, once it is voided.';
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_delete(pg_catalog.text, pg_catalog.text) IS
  'for routers: delete a coupon by its code, or a campaign by its name, that has no redemptions and whose units are home';

-- The rows that are of another shard, and a digest of what they have in common with the row there; or the same of given ids.
CREATE FUNCTION @extschema@.coupon_shard_digests(is_campaign pg_catalog.bool, ids pg_catalog.int8[])
RETURNS TABLE (id pg_catalog.int8, name pg_catalog.text, digest pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.id, c.code, md5((to_jsonb(c) - '{rights,budget_rights,holder}'::text[])::text)
  FROM @extschema@.coupon AS c
  WHERE NOT $1 AND CASE WHEN $2 IS NULL THEN c.id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
                        ELSE c.id = ANY ($2) END
  UNION ALL
  SELECT p.id, p.name, md5((to_jsonb(p) - '{rights,budget_rights}'::text[])::text)
  FROM @extschema@.campaign AS p
  WHERE $1 AND CASE WHEN $2 IS NULL THEN p.id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
                    ELSE p.id = ANY ($2) END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_digests(pg_catalog.bool, pg_catalog.int8[]) IS
  'for routers: a digest of each row that is a copy of another shard''s (ids NULL), or of the rows with these ids';

CREATE FUNCTION @extschema@.coupon_shard_known_codes(codes pg_catalog.text[])
RETURNS SETOF pg_catalog.text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.code FROM @extschema@.coupon AS c WHERE c.code_key = ANY (ARRAY(SELECT @extschema@.coupon_key(n) FROM unnest($1) AS n));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_known_codes(pg_catalog.text[]) IS 'for routers: which of these codes there are here';

-- A free code leaves with all its units. What is locked may be free in a moment, or not: that is waited for, if there is nothing else.
CREATE FUNCTION @extschema@.coupon_shard_release_code(campaign pg_catalog.text, transfer_id pg_catalog.uuid, to_shard pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  in_campaign int8;
  free record;
  released int8;
BEGIN
  SELECT p.id INTO in_campaign FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key(campaign);
  FOR try IN 1 .. 1000 LOOP
    SELECT c.code, coalesce(c.rights, c.max_redemptions) AS units INTO free
    FROM @extschema@.coupon AS c
    WHERE c.campaign_id = in_campaign AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
      AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
      AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                      WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                        AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
    LIMIT 1 FOR UPDATE OF c SKIP LOCKED;
    IF NOT FOUND THEN
      SELECT c.code, coalesce(c.rights, c.max_redemptions) AS units INTO free
      FROM @extschema@.coupon AS c
      WHERE c.campaign_id = in_campaign AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
        AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
        AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                        WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                          AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
      LIMIT 1 FOR UPDATE OF c;
    END IF;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
    released := @extschema@.release_units(free.code, free.units, transfer_id, to_shard);
    IF released > 0 THEN
      RETURN @extschema@.coupon_shard_row(free.code) || jsonb_build_object('units', released);
    END IF;
  END LOOP;
  RAISE EXCEPTION 'no code of campaign "%" stays free for long enough', campaign USING ERRCODE = 'serialization_failure';
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_release_code(pg_catalog.text, pg_catalog.uuid, pg_catalog.text) IS
  'for routers: let a code of the campaign that nobody holds go to another shard, with all its units; its rows, and how many units';

CREATE FUNCTION @extschema@.coupon_shard_redemption_of(user_id pg_catalog.text, redemption_id pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF redemption_id IS NOT NULL
     AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r WHERE r.id = $2 AND r.user_id = $1) THEN
    RAISE EXCEPTION 'redemption % does not exist', redemption_id USING ERRCODE = 'RC008',
      DETAIL = format('User "%s" has no committed redemption or hold with this ID.', user_id);
  END IF;
  RETURN redemption_id;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_redemption_of(pg_catalog.text, pg_catalog.int8) IS
  'for routers: the id of a redemption, if it is the user''s (RC008 if not)';

CREATE FUNCTION @extschema@.coupon_shard_divided(ids pg_catalog.int8[])
RETURNS TABLE (
  kind pg_catalog."char", owner_id pg_catalog.int8, name pg_catalog.text, in_all pg_catalog.int8, rights pg_catalog.int8,
  under_way pg_catalog.int8, transfers pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT l.kind, l.owner_id, l.name, l.in_all, coalesce(l.rights, l.in_all), t.under_way, t.transfers
  FROM (
    SELECT 'c'::"char" AS kind, c.id AS owner_id, c.code AS name, c.max_redemptions AS in_all, c.rights FROM @extschema@.coupon AS c
    UNION ALL
    SELECT 'b', c.id, c.code, c.budget, c.budget_rights FROM @extschema@.coupon AS c
    UNION ALL
    SELECT 'C', p.id, p.name, p.max_redemptions, p.rights FROM @extschema@.campaign AS p
    UNION ALL
    SELECT 'B', p.id, p.name, p.budget, p.budget_rights FROM @extschema@.campaign AS p) AS l
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(m.units) FILTER (WHERE m.settled_at IS NULL), 0)::int8 AS under_way, count(*) FILTER (WHERE NOT m.of_user) AS transfers
    FROM (
      SELECT o.units, o.settled_at, false AS of_user FROM @extschema@.coupon_transfer AS o WHERE o.kind = l.kind AND o.owner_id = l.owner_id
      UNION ALL
      SELECT r.units, NULL, true
      FROM @extschema@.coupon_user_transfer AS o
      CROSS JOIN LATERAL jsonb_to_recordset(o.payload->'rights') AS r (kind "char", owner_id int8, units int8)
      WHERE o.direction = 'o' AND o.settled_at IS NULL AND r.kind = l.kind AND r.owner_id = l.owner_id) AS m) AS t
  WHERE l.in_all IS NOT NULL
    AND CASE WHEN $1 IS NULL THEN l.rights IS NOT NULL OR l.owner_id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
             ELSE l.owner_id = ANY ($1) END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_divided(pg_catalog.int8[]) IS
  'for routers: limits that are divided over shards (ids NULL), or those of coupons and campaigns with these ids, and what has been moved of them';

CREATE FUNCTION @extschema@.coupon_shard_strangers(own pg_catalog.int4[], partitions pg_catalog.int4, is_modular pg_catalog.bool)
RETURNS TABLE (user_id pg_catalog.text, redemptions pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT r.user_id, count(*)
  FROM @extschema@.coupon_redemption AS r
  WHERE CASE WHEN $3 THEN abs(hashtext(r.user_id)::int8) % $2 ELSE hashtext(r.user_id) & ($2 - 1) END <> ALL ($1)
  GROUP BY r.user_id
  LIMIT 1000;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_strangers(pg_catalog.int4[], pg_catalog.int4, pg_catalog.bool) IS
  'for routers: users who have redemptions here and belong to another shard; 1,000 at the most';
