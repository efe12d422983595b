-- What the functions answer.

CREATE TYPE @extschema@.coupon_status AS ENUM (
  'redeemed',
  'held',
  'not_found',
  'inactive',
  'not_started',
  'expired',
  'already_redeemed',
  'sold_out',
  'withheld',
  'voided',
  'insufficient',
  'reserved',
  'claimed',
  'released',
  'throttled',
  'unavailable'
);
COMMENT ON TYPE @extschema@.coupon_status IS
  'what became of a redemption: redeemed or held, or the business reason for which it was refused';

-- What the functions answer. Types with a name, for the columns of a function that lists them itself
-- (OUT) are looked up and built anew for every execution: an eighth of what a refusal costs.
CREATE TYPE @extschema@.coupon_redeem_answer AS (
  status @extschema@.coupon_status,
  redemption_id pg_catalog.int8,
  coupon_id pg_catalog.int8,
  use_no pg_catalog.int4,
  redeemed_at pg_catalog.timestamptz,
  terms pg_catalog.jsonb,
  replayed pg_catalog.bool,
  amount pg_catalog.int8,
  limited_by pg_catalog.text,
  retry_at pg_catalog.timestamptz
);
COMMENT ON TYPE @extschema@.coupon_redeem_answer IS 'what redeem_coupon() and confirm_hold() answer';

CREATE TYPE @extschema@.coupon_hold_answer AS (
  status @extschema@.coupon_status,
  redemption_id pg_catalog.int8,
  coupon_id pg_catalog.int8,
  use_no pg_catalog.int4,
  hold_expires_at pg_catalog.timestamptz,
  terms pg_catalog.jsonb,
  replayed pg_catalog.bool,
  amount pg_catalog.int8,
  limited_by pg_catalog.text,
  retry_at pg_catalog.timestamptz
);
COMMENT ON TYPE @extschema@.coupon_hold_answer IS 'what hold_coupon() answers';

CREATE TYPE @extschema@.coupon_check_answer AS (
  status @extschema@.coupon_status,
  coupon_id pg_catalog.int8,
  remaining_uses pg_catalog.int4,
  remaining_units pg_catalog.int8,
  remaining_budget pg_catalog.int8,
  limited_by pg_catalog.text,
  retry_at pg_catalog.timestamptz
);
COMMENT ON TYPE @extschema@.coupon_check_answer IS
  'what check_coupon() answers; what is left is NULL where there is no limit';

CREATE TYPE @extschema@.coupon_claim_answer AS (
  status @extschema@.coupon_status,
  coupon_id pg_catalog.int8,
  code pg_catalog.text,
  terms pg_catalog.jsonb,
  replayed pg_catalog.bool,
  retry_at pg_catalog.timestamptz
);
COMMENT ON TYPE @extschema@.coupon_claim_answer IS 'what claim_coupon() and release_claim() answer';
