-- What passes between the functions here. The types of answers come before, from extension/sql/types.sql: they are the shard's.

CREATE TYPE @extschema@.coupon_redeem_row AS (
  code pg_catalog.text,
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
COMMENT ON TYPE @extschema@.coupon_redeem_row IS 'a row of redeem_coupons()';

CREATE TYPE @extschema@.coupon_redeem_place AS (
  place pg_catalog.int4,
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
COMMENT ON TYPE @extschema@.coupon_redeem_place IS 'a row of redeem_coupon_for_each(), and which one';

CREATE TYPE @extschema@.coupon_shard_limits AS (
  kind pg_catalog."char",
  name pg_catalog.text,
  remaining pg_catalog.int8,
  begun pg_catalog.int8,
  in_vain pg_catalog.int8,
  unanswered pg_catalog.int8,
  now pg_catalog.int8 -- by the shard's clock, as looks are numbered
);
COMMENT ON TYPE @extschema@.coupon_shard_limits IS 'a limit of a coupon on a shard, and the looks for more';

CREATE TYPE @extschema@.coupon_shard_units AS (
  partition pg_catalog.int4,
  answers pg_catalog.bool,
  shard pg_catalog.text,
  granted pg_catalog.int8,
  used pg_catalog.int8,
  remaining pg_catalog.int8,
  is_dry pg_catalog.bool,
  under_way pg_catalog.int8,
  has_holder pg_catalog.bool,
  transfers pg_catalog.int8,
  evidence pg_catalog.text
);
COMMENT ON TYPE @extschema@.coupon_shard_units IS 'what there is of a limit on a shard, or that it does not answer';

CREATE TYPE @extschema@.coupon_shard_unsettled AS (
  transfer_id pg_catalog.uuid,
  kind pg_catalog."char",
  name pg_catalog.text,
  units pg_catalog.int8,
  peer pg_catalog.text
);
COMMENT ON TYPE @extschema@.coupon_shard_unsettled IS 'units that have left a shard, and of which it is not known that they have arrived';

CREATE TYPE @extschema@.coupon_shard_divided AS (
  partition pg_catalog.int4,
  kind pg_catalog."char",
  owner_id pg_catalog.int8,
  name pg_catalog.text,
  in_all pg_catalog.int8,
  rights pg_catalog.int8,
  under_way pg_catalog.int8,
  transfers pg_catalog.int8
);
COMMENT ON TYPE @extschema@.coupon_shard_divided IS 'the part that a shard has of a limit';

CREATE TYPE @extschema@.coupon_search AS (
  verdict pg_catalog.text, -- again: ask the user's shard again; final: its answer is; unavailable; elsewhere: status is the answer
  status pg_catalog.text,
  shard pg_catalog.int4, -- the user's
  rounds pg_catalog.int4,
  kind pg_catalog."char", -- the limit that is looked for
  name pg_catalog.text,
  number pg_catalog.int8, -- of the look
  evidence pg_catalog.text, -- that no other shard had anything, before the user's shard was asked again
  is_copied pg_catalog.bool -- the code's row has been brought to the user's shard
);
COMMENT ON TYPE @extschema@.coupon_search IS 'how far a search for units or for a code is';
