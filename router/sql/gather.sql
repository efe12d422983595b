-- Units, and codes, for a user whose shard has none.
--
-- A transfer. Units leave the giving shard in one transaction, with a row that has its id, and come to the other in a second one, with a
-- row that has it too and cannot be there twice. In between they are nobody's, and the first row is unsettled. Whatever fails between the
-- two, and whether or not an answer was lost, whoever finds an unsettled row asks the other shard to accept it, which it does once, and
-- settles it. So no unit is given twice, and none is lost.
--
-- A refusal is final only if there was a moment, since the user asked, at which no shard had a unit, nor was one under way. What is known of
-- a moment is known like this (coupon_router_search()): all shards are asked, and say that there is none and that no transaction still open
-- can bring one, that nothing is under way from there, and what their quota is at (evidence). Then the user's own shard is asked again and
-- refuses, with its own certainty. Then all are asked again, and the evidence is the same everywhere: so nothing has come or gone at any
-- shard since before the refusal, and at its moment there was nothing anywhere. Else the search goes on.
--
-- It ends: each round brings a unit, or somebody else has had one since the last.
--
-- One search at a time goes on a router for the users of one shard and coupon (or its campaign). The lock is one of a subtransaction that
-- the caller rolls back at the end, so nothing can leave it behind. Who waited for it takes the result of a look that began after his own
-- refusal: that was a moment since he asked. After a look in vain the next one begins a tenth of a second after that began, at the earliest:
-- so many who are refused ask the shards ten times a second, not each for himself.

-- What the shards have of a limit. All are asked at once; if that fails, one by one, and a shard that does not answer has a row that says so.
CREATE FUNCTION @extschema@.coupon_router_units(shards pg_catalog.int4[], kind pg_catalog."char", name pg_catalog.text)
RETURNS SETOF @extschema@.coupon_shard_units
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  one int4;
BEGIN
  BEGIN
    RETURN QUERY SELECT u.* FROM @extschema@.shard_units(shards, name, kind) AS u;
    RETURN;
  EXCEPTION WHEN OTHERS THEN
    IF NOT @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
      RAISE;
    END IF;
  END;
  FOREACH one IN ARRAY shards LOOP
    BEGIN
      RETURN QUERY SELECT u.* FROM @extschema@.shard_units(ARRAY[one], name, kind) AS u;
    EXCEPTION WHEN OTHERS THEN
      IF NOT @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
        RAISE;
      END IF;
      RETURN NEXT ROW (one, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::@extschema@.coupon_shard_units;
    END;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_units(pg_catalog.int4[], pg_catalog."char", pg_catalog.text) IS 'what shards have of a limit';

-- The rows of a coupon (and of its campaign), or of a campaign alone, likewise. A shard that does not answer has no number.
CREATE FUNCTION @extschema@.coupon_router_rows(shards pg_catalog.int4[], code pg_catalog.text, campaign pg_catalog.text)
RETURNS TABLE (shard pg_catalog.int4, answers pg_catalog.bool, number pg_catalog.int4, found pg_catalog.jsonb)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  one int4;
BEGIN
  BEGIN
    RETURN QUERY SELECT r.partition, true, r.number, r.found FROM @extschema@.shard_rows(shards, code, campaign) AS r;
    RETURN;
  EXCEPTION WHEN OTHERS THEN
    IF NOT @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
      RAISE;
    END IF;
  END;
  FOREACH one IN ARRAY shards LOOP
    BEGIN
      RETURN QUERY SELECT r.partition, true, r.number, r.found FROM @extschema@.shard_rows(ARRAY[one], code, campaign) AS r;
    EXCEPTION WHEN OTHERS THEN
      IF NOT @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
        RAISE;
      END IF;
      RETURN QUERY SELECT one, false, NULL::int4, NULL::jsonb;
    END;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_rows(pg_catalog.int4[], pg_catalog.text, pg_catalog.text) IS
  'the rows that shards have of a coupon, or of a campaign';

-- For the handler of an error in a part of a transfer: true if it is to be tried again, false if the shard does not answer.
CREATE FUNCTION @extschema@.coupon_router_may_try_again(state pg_catalog.text, message pg_catalog.text, try pg_catalog.int4)
RETURNS pg_catalog.bool
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN @extschema@.coupon_router_is_silence(state, message) THEN false
            WHEN state IN ('40001', '40P01', '55P03') AND try < 3 THEN true END;
COMMENT ON FUNCTION @extschema@.coupon_router_may_try_again(pg_catalog.text, pg_catalog.text, pg_catalog.int4) IS
  'what to do about an error in a part of a transfer: try again, take the shard for silent (false), or raise it (NULL)';

-- The row of a coupon or campaign comes to a shard: the shard has no rights by that.
CREATE FUNCTION @extschema@.coupon_router_copy(shard pg_catalog.int4, original pg_catalog.jsonb)
RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
  IF jsonb_typeof(original->'campaign') = 'object' THEN
    PERFORM @extschema@.shard_put_campaign(shard, original->'campaign', false);
  END IF;
  IF jsonb_typeof(original->'coupon') = 'object' THEN
    PERFORM @extschema@.shard_put_coupon(shard, original->'coupon', false);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_copy(pg_catalog.int4, pg_catalog.jsonb) IS 'copies a coupon, or a campaign, to a shard';

-- The second half of a transfer, and the note that it is done. False: a shard does not answer, and it may be done or not.
CREATE FUNCTION @extschema@.coupon_router_complete(
  giver pg_catalog.int4, giver_name pg_catalog.text, taker pg_catalog.int4, transfer_id pg_catalog.uuid, kind pg_catalog."char",
  name pg_catalog.text, units pg_catalog.int8)
RETURNS pg_catalog.bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  again bool;
BEGIN
  FOR try IN 1 .. 5 LOOP
    BEGIN
      PERFORM @extschema@.shard_accept(taker, name, units, transfer_id, giver_name, kind);
      PERFORM @extschema@.shard_settle(giver, transfer_id);
      RETURN true;
    EXCEPTION WHEN OTHERS THEN
      again := @extschema@.coupon_router_may_try_again(SQLSTATE, SQLERRM, try);
      IF SQLSTATE = 'RC001' AND try < 3 THEN
        PERFORM @extschema@.coupon_router_copy(taker, r.found)
        FROM @extschema@.coupon_router_rows(ARRAY[giver], CASE WHEN kind IN ('c', 'b') THEN name END, CASE WHEN kind IN ('C', 'B') THEN name END) AS r;
      ELSIF again IS NULL THEN
        RAISE;
      ELSIF NOT again THEN
        RETURN false;
      END IF;
    END;
  END LOOP;
  RETURN false;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_complete(pg_catalog.int4, pg_catalog.text, pg_catalog.int4, pg_catalog.uuid, pg_catalog."char",
  pg_catalog.text, pg_catalog.int8) IS 'completes a transfer, as often as it is asked';

-- Units of a limit (f: a code of the campaign) from one shard to another. How many; 0: there are none, for certain, and a transaction that
-- might have brought some has been waited for. NULL: a shard does not answer, and units may be under way.
CREATE FUNCTION @extschema@.coupon_router_transfer(
  giver pg_catalog.int4, giver_name pg_catalog.text, taker pg_catalog.int4, taker_name pg_catalog.text, kind pg_catalog."char",
  name pg_catalog.text, units pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  transfer_id CONSTANT uuid := gen_random_uuid();
  moved int8;
  code_rows jsonb;
  again bool;
BEGIN
  IF taker_name IS NULL THEN
    RETURN NULL; -- it has not said who it is: nothing leaves for it
  END IF;
  FOR try IN 1 .. 3 LOOP
    BEGIN
      IF kind = 'f' THEN
        code_rows := @extschema@.shard_release_code(giver, name, transfer_id, taker_name);
        moved := coalesce((code_rows->>'units')::int8, 0);
      ELSE
        moved := @extschema@.shard_release(giver, name, units, transfer_id, taker_name, kind);
      END IF;
      EXIT;
    EXCEPTION WHEN OTHERS THEN
      again := @extschema@.coupon_router_may_try_again(SQLSTATE, SQLERRM, try);
      IF again IS NULL THEN
        RAISE;
      ELSIF NOT again THEN
        RETURN NULL;
      END IF;
    END;
  END LOOP;
  IF moved > 0 AND NOT @extschema@.coupon_router_complete(giver, giver_name, taker, transfer_id, CASE kind WHEN 'f' THEN 'c' ELSE kind END,
                                                         coalesce(code_rows->'coupon'->>'code', name), moved) THEN
    RETURN NULL;
  END IF;
  RETURN moved;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_transfer(pg_catalog.int4, pg_catalog.text, pg_catalog.int4, pg_catalog.text, pg_catalog."char",
  pg_catalog.text, pg_catalog.int8) IS 'brings units of a limit from one shard to another';

-- What has left a shard, of one limit or of all, and may not have arrived; users too. True: all of it has arrived now; false: a shard that it
-- went to does not answer, or is not one of the cluster's, or does not take the user.
CREATE FUNCTION @extschema@.coupon_router_complete_all(giver pg_catalog.int4, giver_name pg_catalog.text, kind pg_catalog."char", name pg_catalog.text)
RETURNS pg_catalog.bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  one @extschema@.coupon_shard_unsettled;
  mover record;
  taker int4;
  is_all bool := true;
BEGIN
  FOR one IN SELECT t.* FROM @extschema@.shard_unsettled(giver, kind, name) AS t LOOP
    SELECT n.shard INTO taker FROM @extschema@.coupon_router_names() AS n WHERE n.name = one.peer;
    is_all := taker IS NOT NULL
      AND @extschema@.coupon_router_complete(giver, giver_name, taker, one.transfer_id, one.kind, one.name, one.units) AND is_all;
  END LOOP;
  FOR mover IN SELECT u.* FROM @extschema@.shard_unsettled_users(giver) AS u LOOP
    BEGIN
      SELECT n.shard INTO STRICT taker FROM @extschema@.coupon_router_names() AS n WHERE n.name = mover.peer;
      PERFORM @extschema@.shard_accept_user(taker, mover.payload);
      PERFORM @extschema@.shard_settle_user(giver, mover.transfer_id);
    EXCEPTION WHEN OTHERS THEN
      is_all := false;
    END;
  END LOOP;
  RETURN is_all;
EXCEPTION WHEN OTHERS THEN
  IF NOT @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
    RAISE;
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_complete_all(pg_catalog.int4, pg_catalog.text, pg_catalog."char", pg_catalog.text) IS
  'completes what has left a shard and may not have arrived';

-- The shards by name. A shard that does not answer has none; it is asked twice, for the connection may be of a server that has been restarted.
CREATE FUNCTION @extschema@.coupon_router_names()
RETURNS TABLE (shard pg_catalog.int4, answers pg_catalog.bool, number pg_catalog.int4, name pg_catalog.text, message pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
  one int4;
  problem text;
BEGIN
  FOREACH one IN ARRAY @extschema@.coupon_router_shards() LOOP
    FOR try IN 1 .. 2 LOOP
      BEGIN
        problem := NULL;
        RETURN QUERY SELECT n.partition, true, n.number, n.name, NULL::text FROM @extschema@.shard_names(ARRAY[one]) AS n;
        EXIT;
      EXCEPTION WHEN OTHERS THEN
        problem := SQLERRM;
      END;
    END LOOP;
    IF problem IS NOT NULL THEN
      RETURN QUERY SELECT one, false, NULL::int4, NULL::text, problem;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_names() IS 'number and name of each shard, and whether it answers';

-- A coupon that has a holder, or is not active, stays where it is, and that shard says what the answer is. If it would redeem it, it is the
-- user's, who is not on his shard.
CREATE FUNCTION @extschema@.coupon_router_ask_at(INOUT search @extschema@.coupon_search, shard pg_catalog.int4, user_id pg_catalog.text, code pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  search.status := (@extschema@.shard_check_at(shard, user_id, code)).status;
  search.verdict := CASE WHEN search.status = 'redeemed' THEN 'unavailable' ELSE 'elsewhere' END;
  search.status := nullif(search.status, 'redeemed');
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_ask_at(@extschema@.coupon_search, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
  'has a shard say what the answer to a user is who is not there';

-- Brings something of a limit to the user's shard, or the evidence that there is nothing anywhere.
CREATE FUNCTION @extschema@.coupon_router_gather(INOUT search @extschema@.coupon_search, missing pg_catalog.int8, user_id pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  units @extschema@.coupon_shard_units[];
  own @extschema@.coupon_shard_units;
  one @extschema@.coupon_shard_units;
  moved int8;
  is_answered bool := true;
  is_settled bool := true;
  evidence text := '';
BEGIN
  SELECT array_agg(u.* ORDER BY u.remaining DESC NULLS LAST, u.is_dry, u.partition) INTO units
  FROM @extschema@.coupon_router_units(@extschema@.coupon_router_shards(), search.kind, search.name) AS u;
  search.verdict := 'again';
  FOREACH one IN ARRAY units LOOP
    IF one.has_holder AND one.partition <> search.shard THEN
      search := @extschema@.coupon_router_ask_at(search, one.partition, user_id, search.name);
      RETURN;
    ELSIF one.partition = search.shard THEN
      own := one;
    END IF;
    -- A shard that has the row without the limit is one where it has not appeared yet (catalog.sql).
    is_answered := is_answered AND one.answers AND (one.shard IS NULL OR one.granted IS NOT NULL);
    IF one.under_way > 0 THEN
      is_settled := false;
      is_answered := @extschema@.coupon_router_complete_all(one.partition, one.shard, search.kind, search.name) AND is_answered;
    END IF;
    evidence := concat_ws(E'\n', evidence, one.partition,
      CASE WHEN one.partition = search.shard THEN one.transfers::text ELSE one.evidence END);
  END LOOP;

  FOREACH one IN ARRAY units LOOP
    CONTINUE WHEN one.partition = search.shard OR one.is_dry IS NOT FALSE;
    moved := @extschema@.coupon_router_transfer(one.partition, one.shard, search.shard, own.shard, search.kind, search.name,
      CASE WHEN one.remaining > 0 THEN @extschema@.coupon_router_gift(one.remaining, one.used, own.used, missing) ELSE missing END);
    IF moved > 0 THEN
      search.evidence := NULL;
      RETURN;
    END IF;
    is_answered := is_answered AND moved IS NOT NULL;
    is_settled := false; -- what is known of the others is from before it was waited for
  END LOOP;

  IF NOT is_answered THEN
    search.verdict := 'unavailable';
    PERFORM @extschema@.shard_end_look(search.shard, search.kind, search.name, search.number, false);
  ELSIF is_settled AND evidence = search.evidence THEN
    search.verdict := 'final';
  ELSE
    search.evidence := CASE WHEN is_settled THEN evidence END;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_gather(@extschema@.coupon_search, pg_catalog.int8, pg_catalog.text) IS
  'brings something of a limit to the shard of the search, or the evidence that there is nothing anywhere';

-- Units are divided as the two shards have used theirs, so that they need not move again; what is missing goes first.
CREATE FUNCTION @extschema@.coupon_router_gift(remaining pg_catalog.int8, used_by_giver pg_catalog.int8, used_by_taker pg_catalog.int8, missing pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE sql IMMUTABLE
RETURN least(remaining, greatest(missing,
  ceil(remaining::numeric * (coalesce(used_by_taker, 0) + 1) / (coalesce(used_by_taker, 0) + used_by_giver + 2))::int8));
COMMENT ON FUNCTION @extschema@.coupon_router_gift(pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8) IS
  'how many units a shard gives to another';

-- A code that the user's shard does not know may be on another. Its row is copied; but for one that has a holder, or cannot be redeemed:
-- then the shard that has it says what it would answer.
CREATE FUNCTION @extschema@.coupon_router_find(INOUT search @extschema@.coupon_search, user_id pg_catalog.text, code pg_catalog.text, campaign pg_catalog.text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  one record;
  is_answered bool := true;
BEGIN
  search.verdict := 'final';
  IF search.is_copied THEN
    RETURN;
  END IF;
  FOR one IN
    SELECT r.shard, r.answers, r.found FROM @extschema@.coupon_router_rows(@extschema@.coupon_router_shards(), code, campaign) AS r
    ORDER BY r.found IS NULL, r.shard <> search.shard, r.number IS DISTINCT FROM (r.found->'coupon'->>'id')::int8 >> 40
  LOOP
    IF one.found IS NOT NULL AND one.shard = search.shard THEN
      RETURN; -- it is here, and the shard does not tell
    ELSIF code IS NOT NULL AND (one.found->'coupon'->>'holder' IS NOT NULL OR NOT (one.found->'coupon'->>'active')::bool) THEN
      search := @extschema@.coupon_router_ask_at(search, one.shard, user_id, code);
      RETURN;
    ELSIF one.found IS NOT NULL THEN
      PERFORM @extschema@.coupon_router_copy(search.shard, one.found);
      search.is_copied := true;
      search.verdict := 'again';
      RETURN;
    END IF;
    is_answered := is_answered AND one.answers;
  END LOOP;
  IF NOT is_answered THEN
    search.verdict := 'unavailable';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_find(@extschema@.coupon_search, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
  'brings the row of a code, or of a campaign, to the shard of the search';

-- A step of a search: what to do about an answer of want. The caller has asked the user's shard, and asks again if the verdict says so.
-- Of units 'missing' are what the call needs (of a budget: its amount); search.name NULL: the search begins.
CREATE FUNCTION @extschema@.coupon_router_search(
  INOUT search @extschema@.coupon_search, status @extschema@.coupon_status, user_id pg_catalog.text, code pg_catalog.text,
  campaign pg_catalog.text, units pg_catalog.int8, amount pg_catalog.int8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  lacking @extschema@.coupon_shard_limits;
  seen @extschema@.coupon_shard_limits;
  is_first bool := search.rounds IS NULL;
  needed int8;
BEGIN
  search.rounds := coalesce(search.rounds, 0) + 1;
  search.verdict := CASE WHEN search.rounds > 1000 THEN 'unavailable' ELSE 'again' END;
  IF search.verdict <> 'again' THEN
    RETURN;
  ELSIF status = 'not_found' THEN
    search := @extschema@.coupon_router_find(search, user_id, code, campaign);
    RETURN;
  END IF;

  -- The first limit that has less than is needed; with the lock, it is looked at again.
  FOR i IN 1 .. 2 LOOP
    SELECT l.* INTO lacking
    FROM @extschema@.shard_limits(search.shard, code, campaign) AS l
    ORDER BY l.remaining < CASE WHEN l.kind IN ('b', 'B') THEN coalesce(amount, 1) ELSE units END DESC, strpos('CBcbf', l.kind::text) LIMIT 1;
    needed := CASE WHEN lacking.kind IN ('b', 'B') THEN coalesce(amount, 1) ELSE units END;
    IF lacking.kind IS NULL THEN
      search.verdict := 'final'; -- nothing is divided
      RETURN;
    ELSIF lacking.remaining >= needed THEN
      search.evidence := NULL;
      RETURN; -- some have come
    ELSIF NOT is_first THEN
      EXIT;
    ELSIF i = 1 THEN
      seen := lacking;
      PERFORM pg_advisory_xact_lock(hashtext('coupon_guard_router'), hashtext(search.shard || ' ' || coalesce(campaign, lacking.name)));
    END IF;
  END LOOP;

  IF is_first AND lacking.kind = seen.kind AND lacking.name = seen.name THEN
    search.kind := lacking.kind;
    IF status = 'sold_out' AND lacking.in_vain > seen.begun THEN
      search.verdict := 'final';
      RETURN;
    ELSIF lacking.unanswered > seen.begun THEN
      search.verdict := 'unavailable';
      RETURN;
    END IF;
    PERFORM pg_sleep((greatest(lacking.in_vain, lacking.unanswered) + 100000 - lacking.now) / 1e6::float8);
  END IF;
  IF search.name IS DISTINCT FROM lacking.name OR search.kind IS DISTINCT FROM lacking.kind THEN
    search.kind := lacking.kind;
    search.name := lacking.name;
    search.evidence := NULL;
    search.number := @extschema@.shard_begin_look(search.shard, search.kind, search.name);
  END IF;

  search := @extschema@.coupon_router_gather(search, needed - lacking.remaining, user_id);
  IF search.verdict = 'final' AND status = 'sold_out' AND units = 1 THEN
    PERFORM @extschema@.shard_end_look(search.shard, search.kind, search.name, search.number, true);
  END IF;
EXCEPTION WHEN OTHERS THEN
  IF status = 'not_found' AND SQLSTATE IN ('22021', '22023') THEN
    search.verdict := 'final'; -- what is no code at all
  ELSIF @extschema@.coupon_router_is_silence(SQLSTATE, SQLERRM) THEN
    search.verdict := 'unavailable';
  ELSE
    RAISE;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_search(@extschema@.coupon_search, @extschema@.coupon_status, pg_catalog.text, pg_catalog.text,
  pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS 'a step of the search for what a user lacks on his shard';

-- For an application that is connected to the shard of the user, and was told sold_out or insufficient there.
CREATE FUNCTION @extschema@.coupon_router_gather_units(user_id pg_catalog.text, code pg_catalog.text, amount pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  search @extschema@.coupon_search;
  left_here int8;
  has_budget bool;
BEGIN
  search.shard := @extschema@.coupon_router_shard_of(@extschema@.coupon_router_hash(user_id));
  BEGIN
    LOOP
      SELECT coalesce(bool_or(l.kind IN ('b', 'B')), false),
             CASE WHEN min(l.remaining) FILTER (WHERE l.kind IN ('c', 'C')) = 0 THEN 0
                  ELSE coalesce(min(l.remaining) FILTER (WHERE l.kind IN ('b', 'B')), min(l.remaining)) END
      INTO has_budget, left_here FROM @extschema@.shard_limits(search.shard, code, NULL) AS l;
      search := @extschema@.coupon_router_search(search, CASE WHEN left_here IS NULL THEN 'not_found' ELSE 'insufficient' END::@extschema@.coupon_status,
        user_id, code, NULL, CASE WHEN has_budget THEN 1 ELSE amount END, amount);
      EXIT WHEN search.verdict <> 'again' OR left_here >= amount;
    END LOOP;
    RAISE SQLSTATE 'RC000'; -- gives the lock of the search back
  EXCEPTION WHEN SQLSTATE 'RC000' THEN
    NULL;
  END;
  IF search.verdict = 'unavailable' THEN
    RAISE EXCEPTION 'a shard that may have units of coupon "%" does not answer', left(code, 255) USING ERRCODE = 'RC014';
  END IF;
  RETURN left_here;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_gather_units(pg_catalog.text, pg_catalog.text, pg_catalog.int8) IS
  'gather_units(), of a user of any type';

DO $by_type$
DECLARE
  type text;
BEGIN
  FOREACH type IN ARRAY ARRAY['pg_catalog.int8', 'pg_catalog.uuid', 'pg_catalog.text'] LOOP
    EXECUTE replace($create$
CREATE FUNCTION @extschema@.gather_units(user_id USER, code pg_catalog.text, amount pg_catalog.int8 DEFAULT 1)
RETURNS pg_catalog.int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  RETURN @extschema@.coupon_router_gather_units(user_id::text, code, amount);
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, @extschema@.coupon_router_partition_of(@extschema@.coupon_router_hash(user_id::text)));
  RAISE;
END
$body$$create$, 'USER', type);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.gather_units(%s, pg_catalog.text, pg_catalog.int8) IS %L', type,
      'brings units (or an amount) of a coupon to the user''s shard; how many there are then; 0: none on any shard, for certain');
  END LOOP;
END
$by_type$;
