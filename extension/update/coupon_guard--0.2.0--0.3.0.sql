-- Limits over many servers.

\echo Use "ALTER EXTENSION coupon_guard UPDATE TO '0.3.0'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- ---- statuses ----

ALTER TYPE @extschema@.coupon_status ADD VALUE 'unavailable';

-- ---- tables ----

ALTER TABLE @extschema@.campaign
  ADD COLUMN rights pg_catalog.int8
    CONSTRAINT campaign_rights_not_negative CHECK (rights OPERATOR(pg_catalog.>=) 0),
  ADD COLUMN budget_rights pg_catalog.int8
    CONSTRAINT campaign_budget_rights_not_negative CHECK (budget_rights OPERATOR(pg_catalog.>=) 0);
COMMENT ON COLUMN @extschema@.campaign.rights IS 'of max_redemptions, what this shard may give; NULL: all';
COMMENT ON COLUMN @extschema@.campaign.budget_rights IS 'of budget, what this shard may give; NULL: all';
ALTER TABLE @extschema@.coupon
  ADD COLUMN rights pg_catalog.int8
    CONSTRAINT coupon_rights_not_negative CHECK (rights OPERATOR(pg_catalog.>=) 0),
  ADD COLUMN budget_rights pg_catalog.int8
    CONSTRAINT coupon_budget_rights_not_negative CHECK (budget_rights OPERATOR(pg_catalog.>=) 0);
COMMENT ON COLUMN @extschema@.coupon.rights IS 'of max_redemptions, what this shard may give; NULL: all';
COMMENT ON COLUMN @extschema@.coupon.budget_rights IS 'of budget, what this shard may give; NULL: all';

CREATE TABLE @extschema@.coupon_shard (
  number pg_catalog.int4 PRIMARY KEY
    CONSTRAINT coupon_shard_number_in_range CHECK (number BETWEEN 0 AND 8191),
  name pg_catalog.text COLLATE pg_catalog."C" NOT NULL
    CONSTRAINT coupon_shard_name_length CHECK (pg_catalog.octet_length(name) BETWEEN 1 AND 63)
);
CREATE UNIQUE INDEX coupon_shard_only_one ON @extschema@.coupon_shard ((true));
COMMENT ON TABLE @extschema@.coupon_shard IS 'which shard this server is; no row: none; written by coupon_guard_set_shard()';
COMMENT ON COLUMN @extschema@.coupon_shard.number IS 'by which the ids of its rows differ from those of other shards';
COMMENT ON COLUMN @extschema@.coupon_shard.name IS 'by which other shards call it';
COMMENT ON INDEX @extschema@.coupon_shard_only_one IS 'a server is one shard';

CREATE TABLE @extschema@.coupon_transfer (
  transfer_id pg_catalog.uuid PRIMARY KEY,
  direction pg_catalog."char" NOT NULL
    CONSTRAINT coupon_transfer_direction CHECK (direction IN ('o', 'i')),
  kind pg_catalog."char" NOT NULL
    CONSTRAINT coupon_transfer_kind CHECK (kind IN ('c', 'b', 'C', 'B')),
  owner_id pg_catalog.int8 NOT NULL,
  units pg_catalog.int8 NOT NULL
    CONSTRAINT coupon_transfer_units_positive CHECK (units OPERATOR(pg_catalog.>) 0),
  transfer_no pg_catalog.int8 NOT NULL,
  peer pg_catalog.text COLLATE pg_catalog."C" NOT NULL,
  made_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  settled_at pg_catalog.timestamptz
);
CREATE INDEX coupon_transfer_limit ON @extschema@.coupon_transfer (owner_id, kind, transfer_no);
CREATE INDEX coupon_transfer_unsettled ON @extschema@.coupon_transfer (owner_id, kind) WHERE settled_at IS NULL;
COMMENT ON TABLE @extschema@.coupon_transfer IS
  'units that have left for another shard, or come from it; written by release_units() and accept_units(), and never to be deleted: the row is why a transfer is not made twice';
COMMENT ON COLUMN @extschema@.coupon_transfer.direction IS 'o: out; i: in';
COMMENT ON COLUMN @extschema@.coupon_transfer.kind IS 'of which limit, as in coupon_quota';
COMMENT ON COLUMN @extschema@.coupon_transfer.owner_id IS 'whose limit it is: id of the coupon, or of the campaign';
COMMENT ON COLUMN @extschema@.coupon_transfer.transfer_no IS 'counts the transfers of this limit, from here and to here, from 1';
COMMENT ON COLUMN @extschema@.coupon_transfer.peer IS 'the shard at the other end';
COMMENT ON COLUMN @extschema@.coupon_transfer.settled_at IS 'when it was known that both halves are committed; NULL: a row out whose units may be under way';
COMMENT ON INDEX @extschema@.coupon_transfer_limit IS 'finds the transfers of a limit, the last one first';
COMMENT ON INDEX @extschema@.coupon_transfer_unsettled IS 'finds what is under way';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_shard', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_transfer', '');

-- ---- views, functions ----

CREATE OR REPLACE VIEW @extschema@.coupon_usage AS
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
CREATE OR REPLACE VIEW @extschema@.campaign_usage AS
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

CREATE FUNCTION @extschema@.coupon_guard_set_shard(name pg_catalog.text, number pg_catalog.int4)
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  first_id CONSTANT int8 := number::int8 << 40;
BEGIN
  IF name IS NULL OR number IS NULL THEN
    RAISE EXCEPTION 'name and number must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  LOCK TABLE @extschema@.coupon_shard IN SHARE ROW EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM @extschema@.coupon_shard AS s WHERE s.name = $1 AND s.number = $2) THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM @extschema@.coupon_transfer) THEN
    RAISE EXCEPTION 'this shard has another name or number' USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = 'Units have moved from it or to it under that name.';
  END IF;
  DELETE FROM @extschema@.coupon_shard;
  INSERT INTO @extschema@.coupon_shard (name, number) VALUES (name, number);
  IF number > 0 THEN
    PERFORM setval('@extschema@.campaign_id_seq', first_id), setval('@extschema@.coupon_id_seq', first_id),
      setval('@extschema@.coupon_redemption_id_seq', first_id);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_set_shard(pg_catalog.text, pg_catalog.int4) IS
  'make this server the shard of that name; its ids go on from number * 2^40 (0: as they are), so that rows of all shards have different ones';

CREATE FUNCTION @extschema@.release_units(code pg_catalog.text, units pg_catalog.int8, transfer_id pg_catalog.uuid, to_shard pg_catalog.text,
  kind pg_catalog."char" DEFAULT 'c')
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'coupon_guard_release_units'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.release_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char") IS
  'take up to so many units of a limit out of this shard''s rights, for another shard to accept; how many; 0: there are none; once for each transfer_id';

CREATE FUNCTION @extschema@.accept_units(code pg_catalog.text, units pg_catalog.int8, transfer_id pg_catalog.uuid, from_shard pg_catalog.text,
  kind pg_catalog."char" DEFAULT 'c')
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'coupon_guard_accept_units'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.accept_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char") IS
  'add units that another shard has released to this shard''s rights; false: that has been done before; once for each transfer_id';

CREATE FUNCTION @extschema@.settle_transfer(transfer_id pg_catalog.uuid)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'coupon_guard_settle_transfer'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.settle_transfer(pg_catalog.uuid) IS
  'note that the units of a transfer from here have arrived; false: that was known, or there is no such transfer';

CREATE FUNCTION @extschema@.coupon_guard_units(code pg_catalog.text, kind pg_catalog."char" DEFAULT 'c',
  OUT shard pg_catalog.text, OUT owner_id pg_catalog.int8, OUT granted pg_catalog.int8, OUT used pg_catalog.int8,
  OUT remaining pg_catalog.int8, OUT is_dry pg_catalog.bool, OUT transfers pg_catalog.int8, OUT under_way pg_catalog.int8)
AS 'MODULE_PATHNAME', 'coupon_guard_look_at_units'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.coupon_guard_units(pg_catalog.text, pg_catalog."char") IS
  'what there is of a limit on this shard; waits for nobody; NULL: there is no such limit here';

CREATE VIEW @extschema@.coupon_guard_rights AS
SELECT part.kind, part.owner_id, part.name, part.max, part.rights, part.used, part.rights - part.used AS remaining,
  coalesce(move.under_way, 0)::int8 AS under_way
FROM (
  SELECT 'c'::"char" AS kind, c.id AS owner_id, c.code AS name, c.max_redemptions AS max,
    coalesce(c.rights, c.max_redemptions) AS rights, u.redeemed + u.held AS used
  FROM @extschema@.coupon AS c JOIN @extschema@.coupon_usage AS u ON u.coupon_id = c.id
  WHERE c.max_redemptions IS NOT NULL
  UNION ALL
  SELECT 'b', c.id, c.code, c.budget, coalesce(c.budget_rights, c.budget), u.redeemed_amount + u.held_amount
  FROM @extschema@.coupon AS c JOIN @extschema@.coupon_usage AS u ON u.coupon_id = c.id
  WHERE c.budget IS NOT NULL
  UNION ALL
  SELECT 'C', g.id, g.name, g.max_redemptions, coalesce(g.rights, g.max_redemptions), u.redeemed + u.held
  FROM @extschema@.campaign AS g JOIN @extschema@.campaign_usage AS u ON u.campaign_id = g.id
  WHERE g.max_redemptions IS NOT NULL
  UNION ALL
  SELECT 'B', g.id, g.name, g.budget, coalesce(g.budget_rights, g.budget), u.redeemed_amount + u.held_amount
  FROM @extschema@.campaign AS g JOIN @extschema@.campaign_usage AS u ON u.campaign_id = g.id
  WHERE g.budget IS NOT NULL
) AS part
LEFT JOIN (
  SELECT t.kind, t.owner_id, sum(t.units) AS under_way
  FROM @extschema@.coupon_transfer AS t
  WHERE t.settled_at IS NULL
  GROUP BY t.kind, t.owner_id
) AS move ON move.kind = part.kind AND move.owner_id = part.owner_id;
COMMENT ON VIEW @extschema@.coupon_guard_rights IS
  'per limit: how much it is in all, what of it this shard may give, what is used and what remains of that, and what has left and may be under way';

CREATE OR REPLACE FUNCTION @extschema@.coupon_guard_verify()
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

-- ---- owners, privileges ----

DO $owners$
DECLARE
  owner CONSTANT text := (SELECT extowner::regrole FROM pg_extension WHERE extname = 'coupon_guard');
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['TABLE @extschema@.coupon_shard', 'TABLE @extschema@.coupon_transfer', 'VIEW @extschema@.coupon_guard_rights'] LOOP
    EXECUTE format('ALTER %s OWNER TO %s', name, owner);
  END LOOP;
  FOREACH name IN ARRAY ARRAY[
    '@extschema@.accept_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char")',
    '@extschema@.coupon_guard_set_shard(pg_catalog.text, pg_catalog.int4)',
    '@extschema@.coupon_guard_units(pg_catalog.text, pg_catalog."char")',
    '@extschema@.release_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char")',
    '@extschema@.settle_transfer(pg_catalog.uuid)'
  ] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO %s', name, owner);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
  END LOOP;
END
$owners$;
