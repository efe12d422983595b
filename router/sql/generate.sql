-- Coupons with codes at random, each on one shard with all its units. A shard does not know the codes of the others, so those that two shards
-- have drawn are taken back where they are new: nobody has been told of them.
CREATE FUNCTION @extschema@.generate_coupons(
  campaign pg_catalog.text, count pg_catalog.int8, pattern pg_catalog.text,
  alphabet pg_catalog.text DEFAULT '23456789ABCDEFGHJKMNPQRSTUVWXYZ', check_character pg_catalog.bool DEFAULT false,
  max_share pg_catalog.float8 DEFAULT 0.000001, active pg_catalog.bool DEFAULT true,
  starts_at pg_catalog.timestamptz DEFAULT NULL, expires_at pg_catalog.timestamptz DEFAULT NULL,
  max_redemptions pg_catalog.int8 DEFAULT 1, max_per_user pg_catalog.int4 DEFAULT 1, budget pg_catalog.int8 DEFAULT NULL,
  terms pg_catalog.jsonb DEFAULT NULL)
RETURNS SETOF pg_catalog.text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
  shards CONSTANT int4[] := @extschema@.coupon_router_shards();
  at int4;
  part int8;
  codes text[];
  known text[];
BEGIN
  PERFORM @extschema@.shard_is_there(s) FROM unnest(shards) AS s;
  PERFORM @extschema@.coupon_router_copy(lacking.shard, home.found)
  FROM @extschema@.coupon_router_rows(shards, NULL, campaign) AS lacking, @extschema@.coupon_router_rows(shards, NULL, campaign) AS home
  WHERE lacking.found IS NULL AND home.number = (home.found->'campaign'->>'id')::int8 >> 40;
  FOR i IN 1 .. cardinality(shards) LOOP
    at := shards[i];
    part := count / cardinality(shards) + CASE WHEN i <= count % cardinality(shards) THEN 1 ELSE 0 END;
    WHILE part > 0 LOOP
      codes := ARRAY(SELECT g FROM @extschema@.shard_generate(at, campaign, part, pattern, alphabet, check_character, max_share * part / count,
        active, starts_at, expires_at, max_redemptions, max_per_user, budget, terms) AS g);
      known := ARRAY(SELECT k FROM unnest(array_remove(shards, at)) AS s CROSS JOIN LATERAL @extschema@.shard_known_codes(s, codes) AS k);
      PERFORM @extschema@.shard_delete(at, k, NULL) FROM unnest(known) AS k;
      RETURN QUERY SELECT c FROM unnest(codes) AS c WHERE c <> ALL (known);
      part := cardinality(known);
    END LOOP;
  END LOOP;
  IF count IS NULL OR count < 1 THEN -- the shard says what is wrong
    RETURN QUERY SELECT g FROM @extschema@.shard_generate(shards[1], campaign, count, pattern, alphabet, check_character, max_share,
      active, starts_at, expires_at, max_redemptions, max_per_user, budget, terms) AS g;
  END IF;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.generate_coupons(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.bool,
  pg_catalog.float8, pg_catalog.bool, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8,
  pg_catalog.jsonb) IS
  'makes coupons whose codes are drawn at random, as many on each shard, and returns the codes; ? in the pattern is a character of the alphabet';
