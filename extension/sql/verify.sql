-- What is broken, if anything.

CREATE FUNCTION @extschema@.coupon_guard_generation()
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'coupon_guard_generation'
LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.coupon_guard_generation() IS
  'state of the triggers on the four tables, by which quotas are void or not; NULL while they are not all in force';

-- One statement, so one snapshot: on a live system too the figures belong together. The ledger is read once. A body that
-- is parsed here goes on when tables, columns or schemas are renamed.
CREATE FUNCTION @extschema@.coupon_guard_verify()
RETURNS TABLE (invariant text, coupon_id int8, user_id text, detail text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH part AS MATERIALIZED (
    SELECT r.coupon_id, r.campaign_id, r.user_id, count(*) AS row_count,
           count(*) FILTER (WHERE r.voided_at IS NULL) AS uses, sum(r.amount) FILTER (WHERE r.voided_at IS NULL) AS amount,
           count(*) FILTER (WHERE r.amount <= 0) AS worthless,
           count(*) FILTER (WHERE r.use_no < 1) AS misnumbered,
           count(*) FILTER (WHERE r.campaign_use_no < 1) AS campaign_misnumbered,
           count(*) FILTER (WHERE NOT isfinite(r.hold_expires_at)) AS endless
    FROM @extschema@.coupon_redemption AS r
    GROUP BY r.coupon_id, r.campaign_id, r.user_id
  ), ledger AS MATERIALIZED (
    SELECT p.coupon_id, p.user_id, sum(p.row_count)::int8 AS row_count, sum(p.uses)::int8 AS uses, sum(p.amount) AS amount,
           sum(p.worthless)::int8 AS worthless, sum(p.misnumbered)::int8 AS misnumbered, sum(p.endless)::int8 AS endless
    FROM part AS p
    GROUP BY p.coupon_id, p.user_id
  ), campaign_ledger AS MATERIALIZED (
    SELECT p.campaign_id, p.user_id, sum(p.row_count)::int8 AS row_count, sum(p.uses)::int8 AS uses, sum(p.amount) AS amount,
           sum(p.campaign_misnumbered)::int8 AS misnumbered
    FROM part AS p
    WHERE p.campaign_id IS NOT NULL
    GROUP BY p.campaign_id, p.user_id
  ), total AS MATERIALIZED (
    SELECT l.coupon_id, sum(l.row_count)::int8 AS row_count, sum(l.uses)::int8 AS uses, sum(l.amount) AS amount
    FROM ledger AS l
    GROUP BY l.coupon_id
  ), campaign_total AS MATERIALIZED (
    SELECT l.campaign_id, sum(l.row_count)::int8 AS row_count, sum(l.uses)::int8 AS uses, sum(l.amount) AS amount
    FROM campaign_ledger AS l
    GROUP BY l.campaign_id
  ), quota AS MATERIALIZED (
    -- What was set up before triggers or tables were tampered with is void: nobody takes units from it.
    -- Without its anchor (stripe 0) it is not set up.
    SELECT q.owner_id, q.kind, sum(q.remaining)::int8 AS remaining
    FROM @extschema@.coupon_quota AS q
    WHERE q.generation = @extschema@.coupon_guard_generation()
    GROUP BY q.owner_id, q.kind
    HAVING bool_or(q.stripe = 0)
  ), coupon AS NOT MATERIALIZED (
    -- What may be given here: of a limit that is divided over shards, this shard's part.
    SELECT c.id, c.campaign_id, c.holder, c.max_per_user, CASE WHEN c.max_redemptions IS NOT NULL THEN coalesce(c.rights, c.max_redemptions) END AS cap,
           CASE WHEN c.rights IS NULL THEN 'cap' ELSE 'rights' END AS cap_name,
           CASE WHEN c.budget IS NOT NULL THEN coalesce(c.budget_rights, c.budget) END AS budget, CASE WHEN c.budget_rights IS NULL THEN 'budget' ELSE 'rights' END AS budget_name
    FROM @extschema@.coupon AS c
  ), campaign AS NOT MATERIALIZED (
    SELECT g.id, g.max_per_user, CASE WHEN g.max_redemptions IS NOT NULL THEN coalesce(g.rights, g.max_redemptions) END AS cap,
           CASE WHEN g.rights IS NULL THEN 'cap' ELSE 'rights' END AS cap_name,
           CASE WHEN g.budget IS NOT NULL THEN coalesce(g.budget_rights, g.budget) END AS budget, CASE WHEN g.budget_rights IS NULL THEN 'budget' ELSE 'rights' END AS budget_name
    FROM @extschema@.campaign AS g
  )
  SELECT 'cap', c.id, NULL::text,
         format('%s live redemptions and holds, %s %s', t.uses, c.cap_name, c.cap)
  FROM coupon AS c JOIN total AS t ON t.coupon_id = c.id
  WHERE t.uses > c.cap
  UNION ALL
  SELECT 'quota', c.id, NULL,
         format('%s units left + %s live redemptions and holds <> %s %s',
                q.remaining, coalesce(t.uses, 0), c.cap_name, c.cap)
  FROM coupon AS c
  JOIN quota AS q ON q.owner_id = c.id AND q.kind = 'c'
  LEFT JOIN total AS t ON t.coupon_id = c.id
  WHERE q.remaining + coalesce(t.uses, 0) IS DISTINCT FROM c.cap
  UNION ALL
  SELECT 'budget', c.id, NULL,
         format('amounts of %s in live redemptions and holds, %s %s', t.amount, c.budget_name, c.budget)
  FROM coupon AS c JOIN total AS t ON t.coupon_id = c.id
  WHERE t.amount > c.budget
  UNION ALL
  SELECT 'quota', c.id, NULL,
         format('%s left + amounts of %s in live redemptions and holds <> %s %s',
                q.remaining, coalesce(t.amount, 0), c.budget_name, c.budget)
  FROM coupon AS c
  JOIN quota AS q ON q.owner_id = c.id AND q.kind = 'b'
  LEFT JOIN total AS t ON t.coupon_id = c.id
  WHERE q.remaining + coalesce(t.amount, 0) IS DISTINCT FROM c.budget
  UNION ALL
  SELECT 'limit per user', c.id, l.user_id,
         format('%s live redemptions and holds, limit %s', l.uses, c.max_per_user)
  FROM coupon AS c JOIN ledger AS l ON l.coupon_id = c.id
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
  FROM coupon AS c
  WHERE @extschema@.coupon_guard_user_id_fault(c.holder) IS NOT NULL
  UNION ALL
  SELECT 'campaign cap', NULL, NULL, format('campaign %s: %s live redemptions and holds, %s %s', g.id, t.uses, g.cap_name, g.cap)
  FROM campaign AS g JOIN campaign_total AS t ON t.campaign_id = g.id
  WHERE t.uses > g.cap
  UNION ALL
  SELECT 'campaign quota', NULL, NULL,
         format('campaign %s: %s units left + %s live redemptions and holds <> %s %s',
                g.id, q.remaining, coalesce(t.uses, 0), g.cap_name, g.cap)
  FROM campaign AS g
  JOIN quota AS q ON q.owner_id = g.id AND q.kind = 'C'
  LEFT JOIN campaign_total AS t ON t.campaign_id = g.id
  WHERE q.remaining + coalesce(t.uses, 0) IS DISTINCT FROM g.cap
  UNION ALL
  SELECT 'campaign budget', NULL, NULL, format('campaign %s: amounts of %s in live redemptions and holds, %s %s', g.id, t.amount, g.budget_name, g.budget)
  FROM campaign AS g JOIN campaign_total AS t ON t.campaign_id = g.id
  WHERE t.amount > g.budget
  UNION ALL
  SELECT 'campaign quota', NULL, NULL,
         format('campaign %s: %s left + amounts of %s in live redemptions and holds <> %s %s',
                g.id, q.remaining, coalesce(t.amount, 0), g.budget_name, g.budget)
  FROM campaign AS g
  JOIN quota AS q ON q.owner_id = g.id AND q.kind = 'B'
  LEFT JOIN campaign_total AS t ON t.campaign_id = g.id
  WHERE q.remaining + coalesce(t.amount, 0) IS DISTINCT FROM g.budget
  UNION ALL
  SELECT 'campaign limit per user', NULL, l.user_id,
         format('campaign %s: %s live redemptions and holds, limit %s', g.id, l.uses, g.max_per_user)
  FROM campaign AS g JOIN campaign_ledger AS l ON l.campaign_id = g.id
  WHERE l.uses > g.max_per_user
  UNION ALL
  SELECT 'campaign use number', NULL, l.user_id, format('campaign %s: %s rows with a campaign_use_no below 1', l.campaign_id, l.misnumbered)
  FROM campaign_ledger AS l
  WHERE l.misnumbered > 0
  UNION ALL
  SELECT 'orphaned redemptions', t.coupon_id, NULL, format('%s rows without their coupon', t.row_count)
  FROM total AS t
  WHERE NOT EXISTS (SELECT FROM coupon AS c WHERE c.id = t.coupon_id)
  UNION ALL
  SELECT 'orphaned redemptions', NULL, NULL, format('%s rows without their campaign %s', t.row_count, t.campaign_id)
  FROM campaign_total AS t
  WHERE NOT EXISTS (SELECT FROM campaign AS g WHERE g.id = t.campaign_id)
  UNION ALL
  SELECT 'orphaned coupon', c.id, NULL, format('there is no campaign %s', c.campaign_id)
  FROM coupon AS c
  WHERE c.campaign_id IS NOT NULL AND NOT EXISTS (SELECT FROM campaign AS g WHERE g.id = c.campaign_id)
  UNION ALL
  SELECT 'orphaned quota', CASE WHEN q.kind IN ('c', 'b') THEN q.owner_id END, NULL,
         CASE q.kind WHEN 'b' THEN 'stripes without a coupon that has a budget' WHEN 'c' THEN 'stripes without a capped coupon'
           WHEN 'B' THEN format('campaign %s: stripes without a campaign that has a budget', q.owner_id)
           WHEN 'C' THEN format('campaign %s: stripes without a capped campaign', q.owner_id)
           ELSE format('owner %s: stripes of an unknown kind "%s"', q.owner_id, q.kind) END
  FROM quota AS q
  WHERE NOT EXISTS (SELECT FROM coupon AS c
                    WHERE c.id = q.owner_id AND CASE q.kind WHEN 'c' THEN c.cap WHEN 'b' THEN c.budget END IS NOT NULL)
    AND NOT EXISTS (SELECT FROM campaign AS g
                    WHERE g.id = q.owner_id AND CASE q.kind WHEN 'C' THEN g.cap WHEN 'B' THEN g.budget END IS NOT NULL);
END;
COMMENT ON FUNCTION @extschema@.coupon_guard_verify() IS
  'one row for every invariant that is broken; none when all is well';
