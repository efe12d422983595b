-- What is broken, if anything.

CREATE FUNCTION @extschema@.coupon_guard_generation()
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'coupon_guard_generation'
LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.coupon_guard_generation() IS
  'state of the triggers on the three tables, by which quotas are void or not; NULL while they are not all in force';

-- One statement, so one snapshot: on a live system too the figures belong together. The ledger is read once. A body that
-- is parsed here goes on when tables, columns or schemas are renamed.
CREATE FUNCTION @extschema@.coupon_guard_verify()
RETURNS TABLE (invariant text, coupon_id int8, user_id text, detail text)
LANGUAGE sql STABLE
BEGIN ATOMIC
  WITH ledger AS MATERIALIZED (
    SELECT r.coupon_id, r.user_id, count(*) AS row_count,
           count(*) FILTER (WHERE r.voided_at IS NULL) AS uses,
           count(*) FILTER (WHERE r.use_no < 1) AS misnumbered,
           count(*) FILTER (WHERE NOT isfinite(r.hold_expires_at)) AS endless
    FROM @extschema@.coupon_redemption AS r
    GROUP BY r.coupon_id, r.user_id
  ), total AS MATERIALIZED (
    SELECT l.coupon_id, sum(l.row_count)::int8 AS row_count, sum(l.uses)::int8 AS uses
    FROM ledger AS l
    GROUP BY l.coupon_id
  ), quota AS MATERIALIZED (
    -- What was set up before triggers or tables were tampered with is void: nobody takes units from it.
    -- Without its anchor (stripe 0) it is not set up.
    SELECT q.owner_id AS coupon_id, sum(q.remaining)::int8 AS remaining
    FROM @extschema@.coupon_quota AS q
    WHERE q.kind = 'c' AND q.generation = @extschema@.coupon_guard_generation()
    GROUP BY q.owner_id
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
  JOIN quota AS q ON q.coupon_id = c.id
  LEFT JOIN total AS t ON t.coupon_id = c.id
  WHERE q.remaining + coalesce(t.uses, 0) IS DISTINCT FROM c.max_redemptions
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
  SELECT 'user id', l.coupon_id, l.user_id,
         format('%s rows; it %s', l.row_count, @extschema@.coupon_guard_user_id_fault(l.user_id))
  FROM ledger AS l
  WHERE @extschema@.coupon_guard_user_id_fault(l.user_id) IS NOT NULL
  UNION ALL
  SELECT 'orphaned redemptions', t.coupon_id, NULL, format('%s rows without their coupon', t.row_count)
  FROM total AS t
  WHERE NOT EXISTS (SELECT FROM @extschema@.coupon AS c WHERE c.id = t.coupon_id)
  UNION ALL
  SELECT 'orphaned quota', q.coupon_id, NULL, 'stripes without a capped coupon'
  FROM quota AS q
  WHERE NOT EXISTS (SELECT FROM @extschema@.coupon AS c
                    WHERE c.id = q.coupon_id AND c.max_redemptions IS NOT NULL);
END;
COMMENT ON FUNCTION @extschema@.coupon_guard_verify() IS
  'one row for every invariant that is broken; none when all is well';
