-- Looking at all coupons.

-- Three looks at each coupon, each into the partial index that holds what it counts and nothing else: all of them together
-- read the ledger once, one coupon its own rows, and where the ledger has been vacuumed the indexes alone are read. BETWEEN
-- and not =: what = finds is guessed by the average coupon, and where that has most of the ledger (a shop with one popular
-- code among thousands), the planner would read the whole ledger for each coupon. A range it takes for small, always.
--
-- Units of expired holds count as remaining: the next buyer can have them.
CREATE VIEW @extschema@.coupon_usage AS
SELECT c.id AS coupon_id, c.code, c.max_redemptions, live.uses - hold.uses AS redeemed, hold.held, void.voided,
  c.max_redemptions - (live.uses - hold.uses) - hold.held AS remaining_units,
  c.budget, money.redeemed_amount, money.held_amount, c.budget - money.redeemed_amount - money.held_amount AS remaining_budget
FROM @extschema@.coupon AS c
CROSS JOIN LATERAL (
  SELECT count(*) AS uses
  FROM @extschema@.coupon_redemption AS r
  WHERE r.coupon_id BETWEEN c.id AND c.id AND r.voided_at IS NULL
) AS live
CROSS JOIN LATERAL (
  SELECT count(*) AS uses, count(*) FILTER (WHERE r.hold_expires_at > clock_timestamp()) AS held
  FROM @extschema@.coupon_redemption AS r
  WHERE r.coupon_id BETWEEN c.id AND c.id AND r.voided_at IS NULL AND r.hold_expires_at IS NOT NULL
) AS hold
CROSS JOIN LATERAL (
  SELECT count(*) AS voided
  FROM @extschema@.coupon_redemption AS r
  WHERE r.coupon_id BETWEEN c.id AND c.id AND r.voided_at IS NOT NULL
) AS void
-- Amounts are read for those coupons only that have a budget: they are in no index.
CROSS JOIN LATERAL (
  SELECT CASE WHEN c.budget IS NOT NULL THEN coalesce(sum(r.amount) FILTER (WHERE r.hold_expires_at IS NULL), 0)::int8 END AS redeemed_amount,
    CASE WHEN c.budget IS NOT NULL THEN coalesce(sum(r.amount) FILTER (WHERE r.hold_expires_at > clock_timestamp()), 0)::int8 END AS held_amount
  FROM @extschema@.coupon_redemption AS r
  WHERE c.budget IS NOT NULL AND r.coupon_id BETWEEN c.id AND c.id AND r.voided_at IS NULL
) AS money;
COMMENT ON VIEW @extschema@.coupon_usage IS
  'per coupon: redeemed, held, voided, and what remains of the cap and of the budget (NULL: none)';

-- The same of campaigns: three looks into indexes that hold rows with a campaign and nothing else.
CREATE VIEW @extschema@.campaign_usage AS
SELECT g.id AS campaign_id, g.name, code.coupons, code.claimed, g.max_redemptions, live.uses - hold.uses AS redeemed, hold.held, void.voided,
  g.max_redemptions - (live.uses - hold.uses) - hold.held AS remaining_units,
  g.budget, money.redeemed_amount, money.held_amount, g.budget - money.redeemed_amount - money.held_amount AS remaining_budget
FROM @extschema@.campaign AS g
CROSS JOIN LATERAL (
  SELECT count(*) AS coupons, count(c.holder) AS claimed
  FROM @extschema@.coupon AS c
  WHERE c.campaign_id BETWEEN g.id AND g.id
) AS code
CROSS JOIN LATERAL (
  SELECT count(*) AS uses
  FROM @extschema@.coupon_redemption AS r
  WHERE r.campaign_id BETWEEN g.id AND g.id AND r.voided_at IS NULL
) AS live
CROSS JOIN LATERAL (
  SELECT count(*) AS uses, count(*) FILTER (WHERE r.hold_expires_at > clock_timestamp()) AS held
  FROM @extschema@.coupon_redemption AS r
  WHERE r.campaign_id BETWEEN g.id AND g.id AND r.voided_at IS NULL AND r.hold_expires_at IS NOT NULL
) AS hold
CROSS JOIN LATERAL (
  SELECT count(*) AS voided
  FROM @extschema@.coupon_redemption AS r
  WHERE r.campaign_id BETWEEN g.id AND g.id AND r.voided_at IS NOT NULL
) AS void
CROSS JOIN LATERAL (
  SELECT CASE WHEN g.budget IS NOT NULL THEN coalesce(sum(r.amount) FILTER (WHERE r.hold_expires_at IS NULL), 0)::int8 END AS redeemed_amount,
    CASE WHEN g.budget IS NOT NULL THEN coalesce(sum(r.amount) FILTER (WHERE r.hold_expires_at > clock_timestamp()), 0)::int8 END AS held_amount
  FROM @extschema@.coupon_redemption AS r
  WHERE g.budget IS NOT NULL AND r.campaign_id BETWEEN g.id AND g.id AND r.voided_at IS NULL
) AS money;
COMMENT ON VIEW @extschema@.campaign_usage IS
  'per campaign: its coupons and how many of them somebody holds; redeemed, held, voided, and what remains of cap and budget (NULL: none)';
