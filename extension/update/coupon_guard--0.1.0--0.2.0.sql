-- Amounts, budgets, holders.

\echo Use "ALTER EXTENSION coupon_guard UPDATE TO '0.2.0'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- ---- types ----

ALTER TYPE @extschema@.coupon_status ADD VALUE 'insufficient';
ALTER TYPE @extschema@.coupon_status ADD VALUE 'reserved';
ALTER TYPE @extschema@.coupon_redeem_answer ADD ATTRIBUTE amount pg_catalog.int8;
ALTER TYPE @extschema@.coupon_hold_answer ADD ATTRIBUTE amount pg_catalog.int8;
ALTER TYPE @extschema@.coupon_check_answer ADD ATTRIBUTE remaining_budget pg_catalog.int8;

-- ---- tables ----

ALTER TABLE @extschema@.coupon
  ADD COLUMN holder pg_catalog.text COLLATE pg_catalog."C"
    CONSTRAINT coupon_holder_not_empty CHECK (holder OPERATOR(pg_catalog.<>) ''),
  ADD COLUMN budget pg_catalog.int8
    CONSTRAINT coupon_budget_positive CHECK (budget OPERATOR(pg_catalog.>) 0);
ALTER TABLE @extschema@.coupon_redemption
  ADD COLUMN amount pg_catalog.int8
    CONSTRAINT coupon_redemption_amount_positive CHECK (amount OPERATOR(pg_catalog.>) 0);
COMMENT ON COLUMN @extschema@.coupon.holder IS 'the only user who may redeem it, as the ledger has user ids; NULL: anybody';
COMMENT ON COLUMN @extschema@.coupon.budget IS 'amount that all its redemptions may have together, in the smallest unit of the currency; NULL: any';
COMMENT ON COLUMN @extschema@.coupon_redemption.amount IS 'what it is worth, in the smallest unit of the currency; NULL: nothing was said';
COMMENT ON TABLE @extschema@.coupon_quota IS
  'the units left of caps and budgets; derived from cap and ledger when first needed, so never dumped';
COMMENT ON COLUMN @extschema@.coupon_quota.kind IS 'which limit it is; c: the coupon''s cap; b: its budget';
COMMENT ON COLUMN @extschema@.coupon_quota.owner_id IS 'whose limit it is: id of the coupon';

-- ---- functions ----

DO $functions$
DECLARE
  owner CONSTANT regrole := (SELECT extowner FROM pg_extension WHERE extname = 'coupon_guard');
  one record;
  signature text;
BEGIN
  FOR one IN
    SELECT f.name, f.symbol || '_' || u.name AS symbol, format('user_id %s, %s', u.type, f.arguments) AS arguments, f.result, f.comment
    FROM (VALUES ('bigint', 'pg_catalog.int8'), ('uuid', 'pg_catalog.uuid'), ('text', 'pg_catalog.text')) AS u (name, type),
    (VALUES
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
      ('hold_coupon', 'coupon_guard_hold_amount',
       'code pg_catalog.text, ttl pg_catalog.interval, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL',
       '@extschema@.coupon_hold_answer',
       'hold_coupon() of an amount, which the coupon''s budget must have')
    ) AS f (name, symbol, arguments, result, comment)
    UNION ALL VALUES
      ('confirm_hold', 'coupon_guard_confirm_hold_amount',
       'redemption_id pg_catalog.int8, amount pg_catalog.int8', '@extschema@.coupon_redeem_answer',
       'confirm_hold() of this amount: what the hold has beyond it comes back to the budget'),
      ('void_redemption', 'coupon_guard_void_amount',
       'redemption_id pg_catalog.int8, amount pg_catalog.int8, reason pg_catalog.text DEFAULT NULL', 'pg_catalog.bool',
       'give a part of the amount of a redemption or hold back; void when nothing of it is left')
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.%I(%s) RETURNS %s AS %L, %L LANGUAGE C VOLATILE PARALLEL UNSAFE',
      one.name, one.arguments, one.result, 'MODULE_PATHNAME', one.symbol);
    signature := format('@extschema@.%I(%s)', one.name, regexp_replace(one.arguments, ' DEFAULT [^,]*', '', 'g'));
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, one.comment);
    EXECUTE format('ALTER FUNCTION %s OWNER TO %s', signature, owner);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature);
  END LOOP;
END
$functions$;

-- ---- looking ----

CREATE OR REPLACE VIEW @extschema@.coupon_usage AS
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

CREATE OR REPLACE FUNCTION @extschema@.coupon_guard_verify()
RETURNS TABLE (invariant text, coupon_id int8, user_id text, detail text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH ledger AS MATERIALIZED (
    SELECT r.coupon_id, r.user_id, count(*) AS row_count,
           count(*) FILTER (WHERE r.voided_at IS NULL) AS uses, sum(r.amount) FILTER (WHERE r.voided_at IS NULL) AS amount,
           count(*) FILTER (WHERE r.amount <= 0) AS worthless,
           count(*) FILTER (WHERE r.use_no < 1) AS misnumbered,
           count(*) FILTER (WHERE NOT isfinite(r.hold_expires_at)) AS endless
    FROM @extschema@.coupon_redemption AS r
    GROUP BY r.coupon_id, r.user_id
  ), total AS MATERIALIZED (
    SELECT l.coupon_id, sum(l.row_count)::int8 AS row_count, sum(l.uses)::int8 AS uses, sum(l.amount) AS amount
    FROM ledger AS l
    GROUP BY l.coupon_id
  ), quota AS MATERIALIZED (
    -- What was set up before triggers or tables were tampered with is void: nobody takes units from it.
    -- Without its anchor (stripe 0) it is not set up.
    SELECT q.owner_id AS coupon_id, q.kind, sum(q.remaining)::int8 AS remaining
    FROM @extschema@.coupon_quota AS q
    WHERE q.generation = @extschema@.coupon_guard_generation()
    GROUP BY q.owner_id, q.kind
    HAVING bool_or(q.stripe = 0)
  )
  SELECT 'cap', c.id, NULL::text,
         format('%s live redemptions and holds, cap %s', t.uses, c.max_redemptions)
  FROM @extschema@.coupon AS c JOIN total AS t ON t.coupon_id = c.id
  WHERE t.uses > c.max_redemptions
  UNION ALL
  SELECT 'quota', c.id, NULL,
         format('%s units left + %s live redemptions and holds <> cap %s',
                q.remaining, coalesce(t.uses, 0), c.max_redemptions)
  FROM @extschema@.coupon AS c
  JOIN quota AS q ON q.coupon_id = c.id AND q.kind = 'c'
  LEFT JOIN total AS t ON t.coupon_id = c.id
  WHERE q.remaining + coalesce(t.uses, 0) IS DISTINCT FROM c.max_redemptions
  UNION ALL
  SELECT 'budget', c.id, NULL,
         format('amounts of %s in live redemptions and holds, budget %s', t.amount, c.budget)
  FROM @extschema@.coupon AS c JOIN total AS t ON t.coupon_id = c.id
  WHERE t.amount > c.budget
  UNION ALL
  SELECT 'quota', c.id, NULL,
         format('%s left + amounts of %s in live redemptions and holds <> budget %s',
                q.remaining, coalesce(t.amount, 0), c.budget)
  FROM @extschema@.coupon AS c
  JOIN quota AS q ON q.coupon_id = c.id AND q.kind = 'b'
  LEFT JOIN total AS t ON t.coupon_id = c.id
  WHERE q.remaining + coalesce(t.amount, 0) IS DISTINCT FROM c.budget
  UNION ALL
  SELECT 'limit per user', c.id, l.user_id,
         format('%s live redemptions and holds, limit %s', l.uses, c.max_per_user)
  FROM @extschema@.coupon AS c JOIN ledger AS l ON l.coupon_id = c.id
  WHERE l.uses > c.max_per_user
  UNION ALL
  SELECT 'use number', l.coupon_id, l.user_id, format('%s rows with a use_no below 1', l.misnumbered)
  FROM ledger AS l
  WHERE l.misnumbered > 0
  UNION ALL
  SELECT 'deadline', l.coupon_id, l.user_id, format('%s rows with a hold_expires_at that is not finite', l.endless)
  FROM ledger AS l
  WHERE l.endless > 0
  UNION ALL
  SELECT 'amount', l.coupon_id, l.user_id, format('%s rows with an amount below 1', l.worthless)
  FROM ledger AS l
  WHERE l.worthless > 0
  UNION ALL
  SELECT 'user id', l.coupon_id, l.user_id,
         format('%s rows; it %s', l.row_count, @extschema@.coupon_guard_user_id_fault(l.user_id))
  FROM ledger AS l
  WHERE @extschema@.coupon_guard_user_id_fault(l.user_id) IS NOT NULL
  UNION ALL
  SELECT 'holder', c.id, c.holder, format('nobody has this user id; it %s', @extschema@.coupon_guard_user_id_fault(c.holder))
  FROM @extschema@.coupon AS c
  WHERE @extschema@.coupon_guard_user_id_fault(c.holder) IS NOT NULL
  UNION ALL
  SELECT 'orphaned redemptions', t.coupon_id, NULL, format('%s rows without their coupon', t.row_count)
  FROM total AS t
  WHERE NOT EXISTS (SELECT FROM @extschema@.coupon AS c WHERE c.id = t.coupon_id)
  UNION ALL
  SELECT 'orphaned quota', q.coupon_id, NULL, CASE WHEN q.kind = 'b' THEN 'stripes without a coupon that has a budget' ELSE 'stripes without a capped coupon' END
  FROM quota AS q
  WHERE NOT EXISTS (SELECT FROM @extschema@.coupon AS c
                    WHERE c.id = q.coupon_id AND CASE q.kind WHEN 'c' THEN c.max_redemptions WHEN 'b' THEN c.budget END IS NOT NULL);
END;
COMMENT ON FUNCTION @extschema@.coupon_guard_verify() IS
  'one row for every invariant that is broken; none when all is well';
