-- Coupons and campaigns on all shards.
--
-- Each has a home, where it was made: the shard whose number its id begins with. Its row there says what it is and what its limits are; the
-- others have copies. What of a limit a shard may give is not in question when a copy is old: rights come and go by transfers alone. So a
-- shard that is down goes on, when it is back, with what it has, and gets the change later, from sync() or the next put.
--
-- A limit appears: first the copies get it, each with what has been used there, and then no copy gives more than that; home last, with the
-- rest. It is raised: home has the difference, in one UPDATE. It is lowered: home gathers what it lacks, then likewise. It never goes away,
-- for units might be under way that would come back to another limit.

CREATE FUNCTION @extschema@.coupon_router_name_of(shard pg_catalog.int4)
RETURNS pg_catalog.text
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT coalesce(max(n.name), 'p' || $1) FROM @extschema@.coupon_router_names() AS n WHERE n.shard = $1;
END;
COMMENT ON FUNCTION @extschema@.coupon_router_name_of(pg_catalog.int4) IS 'the name of a shard, or of its first partition if it does not answer';

-- What other shards may give of a limit, together; what was under way has arrived. Looked at until nothing moves.
CREATE FUNCTION @extschema@.coupon_router_granted(shards pg_catalog.int4[], kind pg_catalog."char", name pg_catalog.text)
RETURNS pg_catalog.int8
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  one @extschema@.coupon_shard_units;
  sum_of_granted int8;
  evidence text;
  seen text;
BEGIN
  FOR try IN 1 .. 100 LOOP
    sum_of_granted := 0;
    evidence := '';
    FOR one IN SELECT u.* FROM @extschema@.coupon_router_units(shards, kind, name) AS u ORDER BY u.partition LOOP
      IF NOT one.answers OR (one.under_way > 0 AND NOT @extschema@.coupon_router_complete_all(one.partition, one.shard, kind, name)) THEN
        RAISE EXCEPTION 'shard % does not answer', @extschema@.coupon_router_name_of(one.partition) USING ERRCODE = 'connection_failure';
      END IF;
      sum_of_granted := sum_of_granted + coalesce(one.granted, 0);
      evidence := concat_ws(' ', evidence, one.partition, one.transfers, one.under_way);
    END LOOP;
    IF evidence = seen THEN
      RETURN sum_of_granted;
    END IF;
    seen := evidence;
  END LOOP;
  RAISE EXCEPTION 'units of "%" are moving all the time', name USING ERRCODE = 'serialization_failure';
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_granted(pg_catalog.int4[], pg_catalog."char", pg_catalog.text) IS
  'what shards may give of a limit, together';

-- Brings so many units to a shard, if the others have them. False: they have not, for certain.
CREATE FUNCTION @extschema@.coupon_router_collect(taker pg_catalog.int4, kind pg_catalog."char", name pg_catalog.text, units pg_catalog.int8)
RETURNS pg_catalog.bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  seen @extschema@.coupon_shard_units[];
  one @extschema@.coupon_shard_units;
  taker_name CONSTANT text := (SELECT n.name FROM @extschema@.coupon_router_names() AS n WHERE n.shard = taker);
  missing int8 := units;
  moved int8;
  is_answered bool := true;
BEGIN
  SELECT array_agg(u.* ORDER BY u.remaining DESC NULLS LAST, u.partition) INTO seen
  FROM @extschema@.coupon_router_units(@extschema@.coupon_router_shards(), kind, name) AS u;
  FOREACH one IN ARRAY seen LOOP
    IF one.under_way > 0 THEN
      is_answered := @extschema@.coupon_router_complete_all(one.partition, one.shard, kind, name) AND is_answered;
    END IF;
    is_answered := is_answered AND one.answers;
    CONTINUE WHEN missing <= 0 OR one.partition = taker OR one.is_dry IS NOT FALSE;
    moved := @extschema@.coupon_router_transfer(one.partition, one.shard, taker, taker_name, kind, name, missing);
    is_answered := is_answered AND moved IS NOT NULL;
    missing := missing - coalesce(moved, 0);
  END LOOP;
  IF missing > 0 AND NOT is_answered THEN
    RAISE EXCEPTION 'a shard that may have units of "%" does not answer', name USING ERRCODE = 'RC014';
  END IF;
  RETURN missing < units;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_collect(pg_catalog.int4, pg_catalog."char", pg_catalog.text, pg_catalog.int8) IS
  'brings units to a shard from wherever they are';

-- The row at home; what is lowered is gathered there as long as there is anything to gather. That there is not is known as in a search
-- (gather.sql): nothing has come or gone at any shard from before the home refused until after.
CREATE FUNCTION @extschema@.coupon_router_put_at_home(home pg_catalog.int4, is_campaign pg_catalog.bool, given pg_catalog.jsonb, old_row pg_catalog.jsonb)
RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lowered record;
  has_moved bool;
  state text; -- of all shards, if none but home has anything
  seen text;
BEGIN
  FOR try IN 1 .. 1000 LOOP
    BEGIN
      IF is_campaign THEN
        PERFORM @extschema@.shard_put_campaign(home, given, true);
      ELSE
        PERFORM @extschema@.shard_put_coupon(home, given, true);
      END IF;
      RETURN;
    EXCEPTION WHEN check_violation THEN
      has_moved := false;
      state := '';
      FOR lowered IN
        SELECT l.kind, coalesce(old_row->>'code', old_row->>'name') AS name, l.units
        FROM (VALUES (CASE WHEN is_campaign THEN 'C' ELSE 'c' END::"char", (old_row->>'max_redemptions')::int8 - (given->>'max_redemptions')::int8),
                     (CASE WHEN is_campaign THEN 'B' ELSE 'b' END::"char", (old_row->>'budget')::int8 - (given->>'budget')::int8)) AS l (kind, units)
        WHERE l.units > 0
      LOOP
        SELECT lowered.units - u.remaining INTO lowered.units FROM @extschema@.coupon_router_units(ARRAY[home], lowered.kind, lowered.name) AS u;
        IF lowered.units > 0 THEN
          has_moved := @extschema@.coupon_router_collect(home, lowered.kind, lowered.name, lowered.units) OR has_moved;
        END IF;
        SELECT state || string_agg(CASE WHEN u.partition = home THEN u.transfers::text WHEN u.is_dry AND u.under_way = 0 THEN u.evidence END, ' ' ORDER BY u.partition)
               || CASE WHEN bool_and(u.partition = home OR u.shard IS NULL OR (u.is_dry AND u.under_way = 0)) THEN '' END
        INTO state
        FROM @extschema@.coupon_router_units(@extschema@.coupon_router_shards(), lowered.kind, lowered.name) AS u;
      END LOOP;
      IF try = 1000 OR (NOT has_moved AND state = seen) THEN
        RAISE;
      END IF;
      seen := state;
    END;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_put_at_home(pg_catalog.int4, pg_catalog.bool, pg_catalog.jsonb, pg_catalog.jsonb) IS
  'makes or changes a row at its home';

CREATE FUNCTION @extschema@.coupon_router_put(is_campaign pg_catalog.bool, given pg_catalog.jsonb)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  what CONSTANT text := CASE WHEN is_campaign THEN 'campaign' ELSE 'coupon' END;
  key CONSTANT text := CASE WHEN is_campaign THEN 'name' ELSE 'code' END;
  shards CONSTANT int4[] := @extschema@.coupon_router_shards();
  named text := given->>key;
  unknown text;
  home int4;
  silent int4;
  old_row jsonb;
  appearing record;
  one record;
BEGIN
  SELECT string_agg(k, ', ') INTO unknown FROM jsonb_object_keys(given) AS k
  WHERE k <> ALL (ARRAY[key, 'active', 'starts_at', 'expires_at', 'max_redemptions', 'max_per_user', 'terms', 'budget']
                  || CASE WHEN is_campaign THEN '{}' ELSE ARRAY['holder', 'stripes', 'campaign'] END);
  IF unknown IS NOT NULL OR named IS NULL THEN
    RAISE EXCEPTION '%', CASE WHEN named IS NULL THEN format('a %s must have a %s', what, key) ELSE format('a %s has no %s', what, unknown) END
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  SELECT min(r.shard) FILTER (WHERE NOT r.answers AND r.shard = shards[1]),
         min(r.shard) FILTER (WHERE r.found IS NOT NULL AND r.number = (r.found->what->>'id')::int8 >> 40)
  INTO silent, home
  FROM @extschema@.coupon_router_rows(shards, CASE WHEN NOT is_campaign THEN named END, CASE WHEN is_campaign THEN named END) AS r;
  SELECT r.found->what INTO old_row FROM @extschema@.coupon_router_rows(shards, CASE WHEN NOT is_campaign THEN named END,
    CASE WHEN is_campaign THEN named END) AS r WHERE r.found IS NOT NULL ORDER BY r.shard <> home LIMIT 1;
  IF home IS NULL AND (silent IS NOT NULL OR old_row IS NOT NULL) THEN
    RAISE EXCEPTION 'the home of % "%" does not answer', what, named USING ERRCODE = 'connection_failure',
      DETAIL = 'Nothing has been changed.';
  END IF;

  IF given->>'holder' IS DISTINCT FROM old_row->>'holder' AND given ? 'holder' THEN
    IF old_row IS NOT NULL THEN
      RAISE EXCEPTION 'the holder of coupon "%" cannot be changed', named USING ERRCODE = 'feature_not_supported';
    END IF;
    home := @extschema@.coupon_router_shard_of(@extschema@.coupon_router_hash(given->>'holder'));
  END IF;
  home := coalesce(home, shards[1]);

  IF given ? 'campaign' THEN
    SELECT r.found->'campaign'->'id' AS id, r.found AS found INTO one
    FROM @extschema@.coupon_router_rows(shards, NULL, given->>'campaign') AS r WHERE r.found IS NOT NULL
    ORDER BY r.number IS DISTINCT FROM (r.found->'campaign'->>'id')::int8 >> 40 LIMIT 1;
    IF given->>'campaign' IS NOT NULL AND one.id IS NULL THEN
      RAISE EXCEPTION 'campaign "%" does not exist', given->>'campaign' USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM @extschema@.coupon_router_copy(home, one.found) FROM @extschema@.shard_rows(ARRAY[home], NULL, given->>'campaign') AS r WHERE r.found IS NULL;
    given := given - 'campaign' || jsonb_build_object('campaign_id', one.id);
  END IF;

  -- A limit appears: the copies first.
  FOR appearing IN
    SELECT a.column_name, a.rights_name, a.kind, (given->>a.column_name)::int8 AS units
    FROM (VALUES ('max_redemptions', 'rights', CASE WHEN is_campaign THEN 'C' ELSE 'c' END::"char"),
                 ('budget', 'budget_rights', CASE WHEN is_campaign THEN 'B' ELSE 'b' END::"char")) AS a (column_name, rights_name, kind)
    WHERE old_row IS NOT NULL AND old_row->>a.column_name IS NULL AND given->>a.column_name IS NOT NULL AND old_row->>'holder' IS NULL
  LOOP
    SELECT sum(u.units) AS units, sum(u.amount) AS amount INTO one
    FROM unnest(shards) AS s
    CROSS JOIN LATERAL @extschema@.shard_uses(s, CASE WHEN NOT is_campaign THEN named END, CASE WHEN is_campaign THEN named END) AS u;
    IF appearing.units < (CASE WHEN appearing.kind IN ('c', 'C') THEN one.units ELSE one.amount END) THEN
      RAISE EXCEPTION 'the limit % of % "%" is below what is in use', appearing.units, what, named USING ERRCODE = 'check_violation';
    END IF;
    FOR one IN SELECT s FROM unnest(shards) AS s WHERE s <> home LOOP
      PERFORM @extschema@.coupon_router_copy(one.s, jsonb_build_object(what, old_row || given));
    END LOOP;
    given := given || jsonb_build_object(appearing.rights_name,
      appearing.units - @extschema@.coupon_router_granted(array_remove(shards, home), appearing.kind, named));
  END LOOP;

  PERFORM @extschema@.coupon_router_put_at_home(home, is_campaign, given, old_row);
  shard := @extschema@.coupon_router_name_of(home);
  is_done := true;
  RETURN NEXT;
  IF (given->>'holder' IS NOT NULL OR old_row->>'holder' IS NOT NULL) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT c.* FROM @extschema@.coupon_router_copy_to_others(home, is_campaign, named) AS c;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_put(pg_catalog.bool, pg_catalog.jsonb) IS 'put_coupon() and put_campaign()';

CREATE FUNCTION @extschema@.coupon_router_copy_to_others(home pg_catalog.int4, is_campaign pg_catalog.bool, named pg_catalog.text)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  one int4;
  row_at_home jsonb;
BEGIN
  SELECT r.found INTO STRICT row_at_home
  FROM @extschema@.shard_rows(ARRAY[home], CASE WHEN NOT is_campaign THEN named END, CASE WHEN is_campaign THEN named END) AS r;
  FOREACH one IN ARRAY array_remove(@extschema@.coupon_router_shards(), home) LOOP
    is_done := false;
    message := NULL;
    BEGIN
      PERFORM @extschema@.coupon_router_copy(one, row_at_home);
      is_done := true;
    EXCEPTION WHEN OTHERS THEN
      message := SQLERRM; -- home has it; sync() will give it
    END;
    shard := @extschema@.coupon_router_name_of(one);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_copy_to_others(pg_catalog.int4, pg_catalog.bool, pg_catalog.text) IS
  'gives the row of a coupon or campaign as it is at home to all other shards';

CREATE FUNCTION @extschema@.put_coupon(coupon pg_catalog.jsonb)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT p.* FROM @extschema@.coupon_router_put(false, coupon) AS p;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.put_coupon(pg_catalog.jsonb) IS
  'makes or changes a coupon on all shards: columns of coupon by their names, campaign by its name; one row a shard';

CREATE FUNCTION @extschema@.put_campaign(campaign pg_catalog.jsonb)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT p.* FROM @extschema@.coupon_router_put(true, campaign) AS p;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.put_campaign(pg_catalog.jsonb) IS
  'makes or changes a campaign on all shards: columns of campaign by their names; one row a shard';

-- Nothing of it is redeemed any more; then its units go home, the copies are deleted, and the row at home last. What has redemptions stays.
CREATE FUNCTION @extschema@.coupon_router_drop(is_campaign pg_catalog.bool, named pg_catalog.text)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  code CONSTANT text := CASE WHEN NOT is_campaign THEN named END;
  campaign CONSTANT text := CASE WHEN is_campaign THEN named END;
  what CONSTANT text := CASE WHEN is_campaign THEN 'campaign' ELSE 'coupon' END;
  key CONSTANT text := CASE WHEN is_campaign THEN 'name' ELSE 'code' END;
  home int4;
  one record;
  is_home_last bool := true;
BEGIN
  SELECT coalesce(max(r.found->what->>key), named) AS spelled, bool_or(r.found IS NOT NULL OR NOT r.answers) AS may_be_there INTO one
  FROM @extschema@.coupon_router_rows(@extschema@.coupon_router_shards(), code, campaign) AS r;
  IF NOT one.may_be_there THEN
    RETURN;
  END IF;
  FOR one IN SELECT p.* FROM @extschema@.coupon_router_put(is_campaign, jsonb_build_object(key, one.spelled, 'active', false)) AS p LOOP
    is_home_last := is_home_last AND one.is_done;
    IF NOT one.is_done THEN
      shard := one.shard;
      is_done := false;
      message := one.message;
      RETURN NEXT; -- it stays, inactive
    END IF;
  END LOOP;
  IF NOT is_home_last THEN
    RETURN;
  END IF;

  FOR one IN
    SELECT r.shard AS at, @extschema@.coupon_router_name_of(r.shard) AS name, r.number = (r.found->what->>'id')::int8 >> 40 AS is_home
    FROM @extschema@.coupon_router_rows(@extschema@.coupon_router_shards(), code, campaign) AS r
    WHERE r.found IS NOT NULL ORDER BY 3 DESC, 1
  LOOP
    IF one.is_home THEN
      home := one.at;
      CONTINUE;
    END IF;
    shard := one.name;
    is_done := false;
    BEGIN
      PERFORM @extschema@.coupon_router_send_home(one.at, home, k::"char", named) FROM unnest(CASE WHEN is_campaign THEN '{C,B}' ELSE '{c,b}' END::text[]) AS k;
      is_done := @extschema@.shard_delete(one.at, code, campaign);
      message := NULL;
    EXCEPTION WHEN OTHERS THEN
      message := SQLERRM;
    END;
    is_home_last := is_home_last AND is_done;
    RETURN NEXT;
  END LOOP;
  shard := @extschema@.coupon_router_name_of(home);
  is_done := false;
  message := 'a copy is still there';
  BEGIN
    IF is_home_last THEN
      is_done := @extschema@.shard_delete(home, code, campaign);
      message := NULL;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    message := SQLERRM;
  END;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_drop(pg_catalog.bool, pg_catalog.text) IS 'drop_coupon() and drop_campaign()';

-- All that a shard has of a limit goes home, and what was under way from there arrives.
CREATE FUNCTION @extschema@.coupon_router_send_home(at pg_catalog.int4, home pg_catalog.int4, kind pg_catalog."char", name pg_catalog.text)
RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  seen @extschema@.coupon_shard_units;
  home_name CONSTANT text := (SELECT n.name FROM @extschema@.coupon_router_names() AS n WHERE n.shard = home);
BEGIN
  IF home_name IS NULL THEN
    RAISE EXCEPTION 'the home of "%" does not answer', name USING ERRCODE = 'connection_failure';
  END IF;
  LOOP
    SELECT u.* INTO seen FROM @extschema@.shard_units(ARRAY[at], name, kind) AS u;
    IF seen.under_way > 0 AND NOT @extschema@.coupon_router_complete_all(at, seen.shard, kind, name) THEN
      RAISE EXCEPTION 'units of "%" are under way to a shard that does not answer', name USING ERRCODE = 'RC014';
    END IF;
    EXIT WHEN seen.is_dry IS NOT FALSE;
    IF @extschema@.coupon_router_transfer(at, seen.shard, home, home_name, kind, name, greatest(seen.remaining, 1)) IS NULL THEN
      RAISE EXCEPTION 'units of "%" may be under way to a shard that does not answer', name USING ERRCODE = 'RC014';
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_send_home(pg_catalog.int4, pg_catalog.int4, pg_catalog."char", pg_catalog.text) IS
  'brings what a shard has of a limit to its home';

CREATE FUNCTION @extschema@.drop_coupon(code pg_catalog.text)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT d.* FROM @extschema@.coupon_router_drop(false, code) AS d;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.drop_coupon(pg_catalog.text) IS
  'deletes a coupon that has no redemptions from all shards; where that cannot be done yet it is inactive, and the call is repeated';

CREATE FUNCTION @extschema@.drop_campaign(name pg_catalog.text)
RETURNS TABLE (shard pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT d.* FROM @extschema@.coupon_router_drop(true, name) AS d;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.drop_campaign(pg_catalog.text) IS
  'deletes a campaign that has no redemptions and no coupons from all shards, likewise';

-- Copies that are not as the row at their home, or whose home has them no more.
CREATE FUNCTION @extschema@.sync()
RETURNS TABLE (shard pg_catalog.text, name pg_catalog.text, is_done pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
  pair record;
  stale record;
BEGIN
  FOR pair IN
    SELECT c.is_campaign, copy.shard AS taker, copy.name AS taker_name, home.shard AS home, home.number AS number
    FROM (VALUES (true), (false)) AS c (is_campaign), @extschema@.coupon_router_names() AS copy, @extschema@.coupon_router_names() AS home
    WHERE copy.shard <> home.shard AND copy.answers AND home.answers
    ORDER BY c.is_campaign DESC, copy.shard, home.shard
  LOOP
    BEGIN
      FOR stale IN
        WITH copies AS MATERIALIZED (
          SELECT d.* FROM @extschema@.shard_digests(pair.taker, pair.is_campaign, NULL) AS d WHERE d.id >> 40 = pair.number
        ), ids AS MATERIALIZED (
          SELECT array_agg(c.id) AS ids FROM copies AS c
        )
        SELECT c.name, d.id AS home_id
        FROM ids CROSS JOIN copies AS c
        LEFT JOIN @extschema@.shard_digests(pair.home, pair.is_campaign, ids.ids) AS d ON d.id = c.id
        WHERE d.digest IS DISTINCT FROM c.digest
      LOOP
        IF stale.home_id IS NULL THEN
          PERFORM @extschema@.shard_delete(pair.taker, CASE WHEN NOT pair.is_campaign THEN stale.name END, CASE WHEN pair.is_campaign THEN stale.name END);
        ELSE
          PERFORM @extschema@.coupon_router_copy(pair.taker, r.found)
          FROM @extschema@.shard_rows(ARRAY[pair.home], CASE WHEN NOT pair.is_campaign THEN stale.name END,
                                      CASE WHEN pair.is_campaign THEN stale.name END) AS r;
        END IF;
        RETURN QUERY SELECT pair.taker_name, stale.name, true, NULL::text;
      END LOOP;
    EXCEPTION WHEN OTHERS THEN
      RETURN QUERY SELECT pair.taker_name, NULL::text, false, SQLERRM;
    END;
  END LOOP;
  RETURN QUERY SELECT coalesce(n.name, 'p' || n.shard), NULL::text, false, n.message FROM @extschema@.coupon_router_names() AS n WHERE NOT n.answers;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.sync() IS
  'gives shards that have been away what has changed meanwhile; one row for each copy that was not as it should be, and each shard that does not answer';

CREATE FUNCTION @extschema@.shards()
RETURNS TABLE (number pg_catalog.int4, name pg_catalog.text, partitions pg_catalog.int4[], answers pg_catalog.bool, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
  RETURN QUERY
  SELECT n.number, n.name, (SELECT array_agg(p.partition ORDER BY p.partition) FROM @extschema@.coupon_router_partitions() AS p WHERE p.shard = n.shard),
    n.answers, n.message
  FROM @extschema@.coupon_router_names() AS n ORDER BY n.shard;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.shards() IS 'the shards, and whether they answer';

DO $by_type$
DECLARE
  type text;
BEGIN
  FOREACH type IN ARRAY ARRAY['pg_catalog.int8', 'pg_catalog.uuid', 'pg_catalog.text'] LOOP
    EXECUTE replace($create$
CREATE FUNCTION @extschema@.shard_of(user_id USER, OUT partition pg_catalog.int4, OUT number pg_catalog.int4, OUT name pg_catalog.text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $body$
BEGIN
  partition := @extschema@.coupon_router_partition_of(@extschema@.coupon_router_hash(user_id::text));
  SELECT n.number, n.name INTO number, name FROM @extschema@.coupon_router_names() AS n
  WHERE n.shard = @extschema@.coupon_router_shard_of(@extschema@.coupon_router_hash(user_id::text));
END
$body$$create$, 'USER', type);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.shard_of(%s) IS %L', type,
      'where a user is: the partition, and number and name of the shard (NULL: it does not answer)');
  END LOOP;
END
$by_type$;
