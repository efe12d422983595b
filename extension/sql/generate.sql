-- Coupons with codes that are drawn at random.

CREATE FUNCTION @extschema@.generate_coupons(
  campaign pg_catalog.text, count pg_catalog.int8, pattern pg_catalog.text,
  alphabet pg_catalog.text DEFAULT '23456789ABCDEFGHJKMNPQRSTUVWXYZ', check_character pg_catalog.bool DEFAULT false,
  max_share pg_catalog.float8 DEFAULT 0.000001, active pg_catalog.bool DEFAULT true,
  starts_at pg_catalog.timestamptz DEFAULT NULL, expires_at pg_catalog.timestamptz DEFAULT NULL,
  max_redemptions pg_catalog.int8 DEFAULT 1, max_per_user pg_catalog.int4 DEFAULT 1, budget pg_catalog.int8 DEFAULT NULL,
  terms pg_catalog.jsonb DEFAULT NULL, notice_every pg_catalog.int8 DEFAULT NULL)
RETURNS SETOF pg_catalog.text
AS 'MODULE_PATHNAME', 'coupon_guard_generate_coupons'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.generate_coupons(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.bool,
  pg_catalog.float8, pg_catalog.bool, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8,
  pg_catalog.jsonb, pg_catalog.int8) IS
  'makes coupons whose codes are drawn at random, and returns the codes; ? in the pattern is a character of the alphabet';
