-- What an application calls.

-- These come once for each type of user id, so that a driver's typed or untyped parameter resolves.
--
-- With an amount, a function is one of its own, whose amount has no default: so the other one is called as ever, has its privileges
-- and what a shop has built on it. Its arguments are in such an order that a call of untyped literals means the same as before: where
-- the other has text it has a number (then text is preferred), and where the other has jsonb it has jsonb.
DO $functions$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.name, f.symbol || '_' || u.name AS symbol,
      format(CASE f.name WHEN 'redeem_coupon_for_each' THEN 'user_ids %s[], %s' ELSE 'user_id %s, %s' END, u.type, f.arguments) AS arguments,
      f.result, f.comment
    FROM (VALUES ('bigint', 'pg_catalog.int8'), ('uuid', 'pg_catalog.uuid'), ('text', 'pg_catalog.text')) AS u (name, type),
    (VALUES
      ('redeem_coupon', 'coupon_guard_redeem',
       'code pg_catalog.text, request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_redeem_answer',
       'redeem a coupon for a user in the current transaction; a refusal is a status, never an error'),
      ('redeem_coupon_strict', 'coupon_guard_redeem_strict',
       'code pg_catalog.text, request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_redeem_answer',
       'redeem_coupon(), but a refusal is an error with an SQLSTATE of its own (RC001 ...)'),
      ('redeem_coupons', 'coupon_guard_redeem_coupons',
       'codes pg_catalog.text[], request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       'TABLE (code pg_catalog.text, status @extschema@.coupon_status, redemption_id pg_catalog.int8, coupon_id pg_catalog.int8,'
       ' use_no pg_catalog.int4, redeemed_at pg_catalog.timestamptz, terms pg_catalog.jsonb, replayed pg_catalog.bool)',
       'redeem several coupons for a user, all or none, one row a code; those not refused are withheld if another is'),
      ('redeem_coupon_for_each', 'coupon_guard_redeem_for_each',
       'codes pg_catalog.text[], request_ids pg_catalog.text[] DEFAULT NULL, metadata pg_catalog.jsonb[] DEFAULT NULL',
       'SETOF @extschema@.coupon_redeem_answer',
       'redeem_coupon() for each of many users, one after the other; one row each, in their order'),
      ('hold_coupon', 'coupon_guard_hold',
       'code pg_catalog.text, ttl pg_catalog.interval DEFAULT ''15 minutes'', request_id pg_catalog.text DEFAULT NULL,'
       ' metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_hold_answer',
       'hold a coupon for a user until a deadline, to be confirmed by confirm_hold() or redeem_coupon()'),
      ('redeem_coupon', 'coupon_guard_redeem_amount',
       'code pg_catalog.text, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL, up_to pg_catalog.bool DEFAULT false',
       '@extschema@.coupon_redeem_answer',
       'redeem_coupon() of an amount, which the coupon''s budget must have; with up_to as much of it as there is'),
      ('redeem_coupon_strict', 'coupon_guard_redeem_amount_strict',
       'code pg_catalog.text, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL, up_to pg_catalog.bool DEFAULT false',
       '@extschema@.coupon_redeem_answer',
       'redeem_coupon() of an amount, but a refusal is an error with an SQLSTATE of its own (RC001 ...)'),
      ('redeem_coupons', 'coupon_guard_redeem_coupons_amounts',
       'codes pg_catalog.text[], amounts pg_catalog.int8[], metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL, up_to pg_catalog.bool DEFAULT false',
       'TABLE (code pg_catalog.text, status @extschema@.coupon_status, redemption_id pg_catalog.int8, coupon_id pg_catalog.int8,'
       ' use_no pg_catalog.int4, redeemed_at pg_catalog.timestamptz, terms pg_catalog.jsonb, replayed pg_catalog.bool,'
       ' amount pg_catalog.int8, limited_by pg_catalog.text, retry_at pg_catalog.timestamptz)',
       'redeem_coupons() of an amount each, which the coupon''s budget must have; with up_to as much of each as there is'),
      ('hold_coupon', 'coupon_guard_hold_amount',
       'code pg_catalog.text, ttl pg_catalog.interval, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL',
       '@extschema@.coupon_hold_answer',
       'hold_coupon() of an amount, which the coupon''s budget must have'),
      ('claim_coupon', 'coupon_guard_claim',
       'campaign pg_catalog.text',
       '@extschema@.coupon_claim_answer',
       'a code of the campaign that nobody holds, now this user''s; asked again, the same code'),
      ('release_claim', 'coupon_guard_release_claim',
       'campaign pg_catalog.text',
       '@extschema@.coupon_claim_answer',
       'give the user''s code of the campaign back for others, unless it is redeemed or held'),
      ('check_coupon', 'coupon_guard_check',
       'code pg_catalog.text',
       '@extschema@.coupon_check_answer',
       'what redeem_coupon() would answer now, and what is left to this user and in all (NULL: no limit); changes and locks nothing')
    ) AS f (name, symbol, arguments, result, comment)
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.%I(%s) RETURNS %s AS %L, %L LANGUAGE C VOLATILE PARALLEL UNSAFE',
      one.name, one.arguments, one.result, 'MODULE_PATHNAME', one.symbol);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.%I(%s) IS %L',
      one.name, regexp_replace(one.arguments, ' DEFAULT [^,]*', '', 'g'), one.comment);
  END LOOP;
END
$functions$;

CREATE FUNCTION @extschema@.confirm_hold(
  redemption_id pg_catalog.int8)
RETURNS @extschema@.coupon_redeem_answer
AS 'MODULE_PATHNAME', 'coupon_guard_confirm_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.confirm_hold(pg_catalog.int8) IS
  'turn a hold into a redemption; status expired if its deadline has passed, voided if it was voided before that';

CREATE FUNCTION @extschema@.void_redemption(
  redemption_id pg_catalog.int8, reason pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'coupon_guard_void_redemption'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.void_redemption(pg_catalog.int8, pg_catalog.text) IS
  'give a redemption or hold back, and its unit with it; false if that had been done already';

CREATE FUNCTION @extschema@.confirm_hold(
  redemption_id pg_catalog.int8, amount pg_catalog.int8)
RETURNS @extschema@.coupon_redeem_answer
AS 'MODULE_PATHNAME', 'coupon_guard_confirm_hold_amount'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.confirm_hold(pg_catalog.int8, pg_catalog.int8) IS
  'confirm_hold() of this amount: what the hold has beyond it comes back to the budget';

CREATE FUNCTION @extschema@.void_redemption(
  redemption_id pg_catalog.int8, amount pg_catalog.int8, reason pg_catalog.text DEFAULT NULL)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'coupon_guard_void_amount'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.void_redemption(pg_catalog.int8, pg_catalog.int8, pg_catalog.text) IS
  'give a part of the amount of a redemption or hold back; void when nothing of it is left';
