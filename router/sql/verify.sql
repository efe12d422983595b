-- What is broken, if anything, over all shards.

-- Limits whose parts do not make up the whole. Shards are read one after the other, and units move meanwhile: so a limit is judged when two
-- looks in a row have found it alike, with no transfer in between. All shards were like that at the moment between the two.
CREATE FUNCTION @extschema@.coupon_router_verify_limits(shards pg_catalog.int4[])
RETURNS TABLE (name pg_catalog.text, detail pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  ids int8[];
  last_seen jsonb := '{}';
  seen jsonb;
  judged jsonb := '{}';
  is_complete CONSTANT bool := cardinality(shards) = cardinality(@extschema@.coupon_router_shards());
  numbers CONSTANT int4[] := ARRAY(SELECT n.number FROM unnest(shards) WITH ORDINALITY AS s (shard, place)
    LEFT JOIN @extschema@.coupon_router_names() AS n ON n.shard = s.shard ORDER BY s.place);
BEGIN
  ids := ARRAY(SELECT DISTINCT d.owner_id FROM unnest(shards) AS s CROSS JOIN LATERAL @extschema@.shard_divided(s, NULL) AS d);
  FOR try IN 1 .. 50 LOOP
    PERFORM @extschema@.coupon_router_complete_all(n.shard, n.name, NULL, NULL) FROM @extschema@.coupon_router_names() AS n WHERE n.shard = ANY (shards);
    SELECT coalesce(jsonb_object_agg(l.kind || l.owner_id, l.parts), '{}') INTO seen
    FROM (SELECT d.kind, d.owner_id, jsonb_agg(to_jsonb(d) ORDER BY d.partition) AS parts
          FROM unnest(shards) AS s CROSS JOIN LATERAL @extschema@.shard_divided(s, ids) AS d GROUP BY d.kind, d.owner_id) AS l;
    SELECT judged || coalesce(jsonb_object_agg(f.key, f.value), '{}') INTO judged
    FROM jsonb_each(seen) AS f WHERE last_seen->f.key = f.value AND NOT judged ? f.key;
    EXIT WHEN try > 1 AND NOT EXISTS (SELECT FROM jsonb_object_keys(seen) AS k WHERE NOT judged ? k);
    last_seen := seen;
  END LOOP;
  RETURN QUERY
  SELECT l.name, format('%s %s over the shards and %s under way, limit %s', l.rights, CASE WHEN l.kind IN ('c', 'C') THEN 'units' ELSE 'of budget' END,
                        l.under_way, l.in_all)
  FROM (
    SELECT left(f.key, 1) AS kind, max(p.value->>'name') AS name, sum((p.value->>'rights')::int8) AS rights,
      sum((p.value->>'under_way')::int8) AS under_way,
      -- The home says what the limit is: a copy may be old.
      coalesce(max((p.value->>'in_all')::int8) FILTER (WHERE n.number = (p.value->>'owner_id')::int8 >> 40),
               CASE WHEN is_complete THEN max((p.value->>'in_all')::int8) END) AS in_all
    FROM jsonb_each(judged) AS f CROSS JOIN LATERAL jsonb_array_elements(f.value) AS p
    LEFT JOIN unnest(shards, numbers) AS n (shard, number) ON n.shard = (p.value->>'partition')::int4
    GROUP BY f.key) AS l
  -- What is not settled may have arrived all the same, if it could not be settled just now.
  WHERE l.rights > l.in_all OR (l.rights + l.under_way < l.in_all AND is_complete);
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_verify_limits(pg_catalog.int4[]) IS 'limits whose rights do not make up the limit';

CREATE FUNCTION @extschema@.coupon_router_verify_copies()
RETURNS TABLE (shard pg_catalog.text, name pg_catalog.text, detail pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  pair record;
BEGIN
  FOR pair IN
    SELECT c.is_campaign, copy.shard AS taker, copy.name AS taker_name, home.shard AS home, home.name AS home_name, home.number AS number
    FROM (VALUES (true), (false)) AS c (is_campaign), @extschema@.coupon_router_names() AS copy, @extschema@.coupon_router_names() AS home
    WHERE copy.shard <> home.shard AND copy.answers AND home.answers
    ORDER BY c.is_campaign DESC, copy.shard, home.shard
  LOOP
    RETURN QUERY
    WITH copies AS MATERIALIZED (
      SELECT d.* FROM @extschema@.shard_digests(pair.taker, pair.is_campaign, NULL) AS d WHERE d.id >> 40 = pair.number
    ), ids AS MATERIALIZED (
      SELECT array_agg(c.id) AS ids FROM copies AS c
    )
    SELECT pair.taker_name, c.name,
      CASE WHEN d.id IS NULL THEN format('its home, shard %s, has it no more', pair.home_name)
           ELSE format('it is not as at its home, shard %s', pair.home_name) END
    FROM ids CROSS JOIN copies AS c
    LEFT JOIN @extschema@.shard_digests(pair.home, pair.is_campaign, ids.ids) AS d ON d.id = c.id
    WHERE d.digest IS DISTINCT FROM c.digest;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_verify_copies() IS 'copies that are not as the row at their home';

CREATE FUNCTION @extschema@.verify()
RETURNS TABLE (shard pg_catalog.text, invariant pg_catalog.text, name pg_catalog.text, detail pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
  one record;
  partitions CONSTANT int4 := (SELECT count(*) FROM @extschema@.coupon_router_partitions());
  is_modular CONSTANT bool := @extschema@.coupon_router_partition_of(-1) <> partitions - 1;
  answering int4[];
  moving uuid[];
BEGIN
  FOR one IN
    SELECT n.*, (SELECT array_agg(p.partition) FROM @extschema@.coupon_router_partitions() AS p WHERE p.shard = n.shard) AS partitions,
      count(*) OVER (PARTITION BY n.name) AS same_name, count(*) OVER (PARTITION BY n.number) AS same_number
    FROM @extschema@.coupon_router_names() AS n ORDER BY n.shard
  LOOP
    IF NOT one.answers THEN
      RETURN QUERY SELECT 'p' || one.shard, 'answers', NULL::text, one.message;
      CONTINUE;
    END IF;
    answering := answering || one.shard;
    moving := moving || ARRAY(SELECT u.transfer_id FROM @extschema@.shard_unsettled_users(one.shard) AS u);
    IF one.name IS NULL OR one.same_name > 1 OR one.same_number > 1 THEN
      RETURN QUERY SELECT coalesce(one.name, 'p' || one.shard), 'shard', NULL::text,
        CASE WHEN one.name IS NULL THEN 'coupon_guard_set_shard() has not been called there' ELSE 'another shard has the same name or number' END;
    END IF;
    IF @extschema@.shard_setting(one.shard, 'datestyle') NOT LIKE 'ISO%' THEN
      RETURN QUERY SELECT one.name, 'setting', 'datestyle', 'answers come as text, and dates in them must be as ISO has them';
    END IF;
    RETURN QUERY SELECT one.name, v.invariant, coalesce('coupon ' || v.coupon_id, 'user ' || v.user_id), v.detail FROM @extschema@.shard_verify(one.shard) AS v;
    RETURN QUERY SELECT one.name, 'user', 'user ' || s.user_id, format('%s redemptions, on a shard that is not the user''s', s.redemptions)
    FROM @extschema@.shard_strangers(one.shard, one.partitions, partitions, is_modular) AS s;
  END LOOP;
  RETURN QUERY SELECT NULL::text, 'limit', l.name, l.detail FROM @extschema@.coupon_router_verify_limits(answering) AS l;
  -- Who was on the way before, and could not be brought to where he belongs.
  RETURN QUERY
  SELECT n.name, 'moving user', 'user ' || (u.payload->>'user_id'), format('has left for shard %s, which has not accepted the user', u.peer)
  FROM @extschema@.coupon_router_names() AS n CROSS JOIN LATERAL @extschema@.shard_unsettled_users(n.shard) AS u
  WHERE n.shard = ANY (answering) AND u.transfer_id = ANY (moving);
  RETURN QUERY SELECT c.shard, 'copy', c.name, c.detail FROM @extschema@.coupon_router_verify_copies() AS c;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.verify() IS 'one row for whatever is broken on any shard, or between them; none when all is well';
