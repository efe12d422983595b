-- What becomes of a shard's answer where it is not passed on as it is.

-- The errors of redeem_coupon_strict(), with the SQLSTATE that a shard has for them, and RC014.
CREATE FUNCTION @extschema@.coupon_router_strict(
  answer @extschema@.coupon_redeem_answer, user_id pg_catalog.text, code pg_catalog.text, request_id pg_catalog.text)
RETURNS @extschema@.coupon_redeem_answer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  refusal record;
BEGIN
  SELECT r.state, r.message INTO refusal
  FROM (VALUES ('not_found', 'RC001', 'coupon "%1$s" does not exist'), ('inactive', 'RC002', 'coupon "%1$s" is not active'),
               ('not_started', 'RC003', 'coupon "%1$s" has not started'), ('expired', 'RC004', 'coupon "%1$s" has expired'),
               ('already_redeemed', 'RC005', 'coupon "%1$s" has already been redeemed by user "%2$s"'),
               ('sold_out', 'RC006', 'coupon "%1$s" is sold out'), ('insufficient', 'RC009', 'the budget of coupon "%1$s" is insufficient'),
               ('reserved', 'RC010', 'coupon "%1$s" is reserved for another user'), ('throttled', 'RC011', 'too many attempts'),
               ('voided', 'RC012', 'the redemption of request id "%3$s" has been voided'),
               ('unavailable', 'RC014', 'a shard that may have units of coupon "%1$s" does not answer')) AS r (status, state, message)
  WHERE r.status = answer.status::text;
  IF FOUND THEN
    RAISE EXCEPTION '%', format(refusal.message, left(code, 255), left(user_id, 255), left(request_id, 255)) USING ERRCODE = refusal.state,
      DETAIL = coalesce('The next attempt may be made at ' || answer.retry_at || '.', '');
  END IF;
  RETURN answer;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_strict(@extschema@.coupon_redeem_answer, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
  'raises a refusal as an error';

-- Whose limit it is, when no shard has more of it.
CREATE FUNCTION @extschema@.coupon_router_limited_by(search @extschema@.coupon_search)
RETURNS pg_catalog.text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN search.kind IN ('C', 'B') THEN 'campaign' ELSE 'coupon' END;
COMMENT ON FUNCTION @extschema@.coupon_router_limited_by(@extschema@.coupon_search) IS 'limited_by of a final refusal';

-- What is left in all is what all shards have together that answer.
CREATE FUNCTION @extschema@.coupon_router_check(answer @extschema@.coupon_check_answer, user_id pg_catalog.text, code pg_catalog.text)
RETURNS @extschema@.coupon_check_answer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
DECLARE
  at int4 := @extschema@.coupon_router_shard_of(@extschema@.coupon_router_hash(user_id));
  own @extschema@.coupon_shard_limits;
  seen record;
  is_answered bool := true;
  units int8;
  own_units int8;
  budget int8;
  own_budget int8;
BEGIN
  IF answer.status = 'not_found' THEN
    SELECT r.shard, r.answers, r.found->'coupon' AS coupon INTO seen
    FROM @extschema@.coupon_router_rows(@extschema@.coupon_router_shards(), code, NULL) AS r
    ORDER BY r.found IS NULL, r.shard <> at, r.answers LIMIT 1;
    IF seen.coupon IS NULL AND NOT seen.answers THEN
      answer.status := 'unavailable';
    END IF;
    IF seen.coupon IS NULL OR seen.shard = at THEN
      RETURN answer;
    END IF;
    at := seen.shard;
    answer := @extschema@.shard_check_at(at, user_id, code);
  END IF;
  IF answer.remaining_units IS NULL AND answer.remaining_budget IS NULL THEN
    RETURN answer;
  END IF;
  FOR own IN SELECT l.* FROM @extschema@.shard_limits(at, code, NULL) AS l LOOP
    SELECT sum(u.remaining)::int8 AS remaining, bool_and(u.answers) AS is_answered INTO seen
    FROM @extschema@.coupon_router_units(@extschema@.coupon_router_shards(), own.kind, own.name) AS u;
    is_answered := is_answered AND seen.is_answered;
    IF own.kind IN ('c', 'C') THEN
      units := least(units, seen.remaining);
      own_units := least(own_units, own.remaining);
    ELSE
      budget := least(budget, seen.remaining);
      own_budget := least(own_budget, own.remaining);
    END IF;
  END LOOP;
  IF answer.status = 'sold_out' AND answer.limited_by = 'shard' THEN
    IF least(units, budget) > 0 THEN
      answer.status := 'redeemed';
      answer.limited_by := NULL;
    ELSIF NOT is_answered THEN
      answer.status := 'unavailable';
      answer.limited_by := NULL;
    END IF;
  END IF;
  -- What is less than the divided limit has here is of one that is not divided.
  answer.remaining_units := CASE WHEN answer.remaining_units < own_units THEN least(answer.remaining_units, units)
                                 ELSE coalesce(units, answer.remaining_units) END;
  answer.remaining_budget := CASE WHEN answer.remaining_budget < own_budget THEN least(answer.remaining_budget, budget)
                                  ELSE coalesce(budget, answer.remaining_budget) END;
  RETURN answer;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_check(@extschema@.coupon_check_answer, pg_catalog.text, pg_catalog.text) IS
  'adds what the other shards have to an answer of check_coupon()';
