-- Looking at all coupons.

-- Three looks at each coupon, each into the partial index that holds what it counts and nothing else: all of them together
-- read the ledger once, one coupon its own rows, and where the ledger has been vacuumed the indexes alone are read. BETWEEN
-- and not =: what = finds is guessed by the average coupon, and where that has most of the ledger (a shop with one popular
-- code among thousands), the planner would read the whole ledger for each coupon. A range it takes for small, always.
--
-- Units of expired holds count as remaining: the next buyer can have them. Of a limit that is divided over shards what remains here.
CREATE VIEW @extschema@.coupon_usage AS
SELECT c.id AS coupon_id, c.code, c.max_redemptions, live.uses - hold.uses AS redeemed, hold.held, void.voided,
  CASE WHEN c.max_redemptions IS NOT NULL THEN coalesce(c.rights, c.max_redemptions) END - (live.uses - hold.uses) - hold.held AS remaining_units,
  c.budget, money.redeemed_amount, money.held_amount,
  coalesce(c.budget_rights, c.budget) - money.redeemed_amount - money.held_amount AS remaining_budget
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
  CASE WHEN g.max_redemptions IS NOT NULL THEN coalesce(g.rights, g.max_redemptions) END - (live.uses - hold.uses) - hold.held AS remaining_units,
  g.budget, money.redeemed_amount, money.held_amount,
  coalesce(g.budget_rights, g.budget) - money.redeemed_amount - money.held_amount AS remaining_budget
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

-- How often what was called, what came of it, and what it took; of this database, as long as the library is preloaded.
CREATE FUNCTION @extschema@.coupon_guard_read_stats()
RETURNS TABLE (function pg_catalog.text, status pg_catalog.text, calls pg_catalog.int8,
  rival_waits pg_catalog.int8, stripe_waits pg_catalog.int8, lock_waits pg_catalog.int8,
  rival_wait_time pg_catalog.float8, stripe_wait_time pg_catalog.float8, lock_wait_time pg_catalog.float8,
  rounds_again pg_catalog.int8, units_taken_over pg_catalog.int8, quotas_set_up pg_catalog.int8,
  cache_hits pg_catalog.int8, cache_misses pg_catalog.int8, stats_reset pg_catalog.timestamptz)
AS 'MODULE_PATHNAME', 'coupon_guard_read_stats'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.coupon_guard_read_stats() IS
  'what view coupon_guard_stats shows, with statuses as text';

CREATE FUNCTION @extschema@.coupon_guard_stats_reset()
RETURNS pg_catalog.void
AS 'MODULE_PATHNAME', 'coupon_guard_stats_reset'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION @extschema@.coupon_guard_stats_reset() IS
  'set the counts of view coupon_guard_stats to zero, for this database';

CREATE VIEW @extschema@.coupon_guard_stats AS
SELECT s.function, CAST(s.status AS @extschema@.coupon_status) AS status, s.calls,
  s.rival_waits, s.stripe_waits, s.lock_waits, s.rival_wait_time, s.stripe_wait_time, s.lock_wait_time,
  s.rounds_again, s.units_taken_over, s.quotas_set_up, s.cache_hits, s.cache_misses, s.stats_reset
FROM @extschema@.coupon_guard_read_stats() AS s;
COMMENT ON VIEW @extschema@.coupon_guard_stats IS
  'per function and status (NULL: it ended with an error): calls, waits and how many milliseconds they took, and what else was done';
