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

-- Users who have moved to another shard, or come from one.
CREATE TABLE @extschema@.coupon_user_transfer (
  transfer_id pg_catalog.uuid PRIMARY KEY,
  direction pg_catalog."char" NOT NULL
    CONSTRAINT coupon_user_transfer_direction CHECK (direction IN ('o', 'i')),
  user_id pg_catalog.text COLLATE pg_catalog."C" NOT NULL,
  transfer_no pg_catalog.int8 NOT NULL,
  peer pg_catalog.text COLLATE pg_catalog."C" NOT NULL,
  payload pg_catalog.jsonb,
  made_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  settled_at pg_catalog.timestamptz
);
CREATE UNIQUE INDEX coupon_user_transfer_last ON @extschema@.coupon_user_transfer (user_id, transfer_no);
CREATE INDEX coupon_user_transfer_unsettled ON @extschema@.coupon_user_transfer (made_at) WHERE settled_at IS NULL;
COMMENT ON TABLE @extschema@.coupon_user_transfer IS
  'users who have left for another shard, or come from it; written by release_user() and accept_user(), and never to be deleted: the row is why a user is not moved twice';
COMMENT ON COLUMN @extschema@.coupon_user_transfer.direction IS 'o: out; i: in';
COMMENT ON COLUMN @extschema@.coupon_user_transfer.transfer_no IS 'counts the transfers of this user, from here and to here, from 1; the last one says whether the user is here';
COMMENT ON COLUMN @extschema@.coupon_user_transfer.peer IS 'the shard at the other end';
COMMENT ON COLUMN @extschema@.coupon_user_transfer.payload IS 'of a row out: what has left; needed until it has arrived, and worth keeping as long as the other shard may be restored from an older backup';
COMMENT ON COLUMN @extschema@.coupon_user_transfer.settled_at IS 'when it was known that both halves are committed; NULL: a row out whose user may be under way';
COMMENT ON INDEX @extschema@.coupon_user_transfer_last IS 'finds the transfers of a user, the last one first';
COMMENT ON INDEX @extschema@.coupon_user_transfer_unsettled IS 'finds who is under way';

CREATE TABLE @extschema@.coupon_user_gate (
  number pg_catalog.int4 PRIMARY KEY,
  moves pg_catalog.int8 NOT NULL DEFAULT 0,
  is_closed pg_catalog.bool NOT NULL DEFAULT false
) WITH (fillfactor = 50);
COMMENT ON TABLE @extschema@.coupon_user_gate IS
  'rows that redemptions and moves of users lock, while users may move from here; derived, so never dumped';
COMMENT ON COLUMN @extschema@.coupon_user_gate.number IS 'hashtext(user_id) & 255 of the users whose gate it is';
COMMENT ON COLUMN @extschema@.coupon_user_gate.moves IS 'changed by each move: whoever has an older snapshot fails';
COMMENT ON COLUMN @extschema@.coupon_user_gate.is_closed IS 'true: of these users only those who have come from another shard redeem here';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_shard', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_transfer', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_user_transfer', '');

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
  its record;
  highest int8;
BEGIN
  IF name IS NULL OR number IS NULL THEN
    RAISE EXCEPTION 'name and number must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF EXISTS (SELECT FROM @extschema@.coupon_shard AS s WHERE s.name = $1 AND s.number = $2) THEN
    RETURN;
  END IF;
  LOCK TABLE @extschema@.coupon_shard IN ACCESS EXCLUSIVE MODE; -- which waits for units that move
  IF EXISTS (SELECT FROM @extschema@.coupon_transfer) THEN
    RAISE EXCEPTION 'this shard has another name or number' USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = 'Units have moved from it or to it under that name.';
  END IF;
  DELETE FROM @extschema@.coupon_shard;
  INSERT INTO @extschema@.coupon_shard (name, number) VALUES (name, number);
  IF number > 0 THEN
    FOR its IN SELECT * FROM unnest('{campaign, coupon, coupon_redemption}'::text[]) AS table_name LOOP
      -- It may have had this number before.
      EXECUTE format('SELECT max(id) FROM @extschema@.%I WHERE id < $1', its.table_name) INTO highest USING first_id + (1::int8 << 40);
      PERFORM setval(pg_get_serial_sequence(format('@extschema@.%I', its.table_name), 'id'), greatest(first_id, highest));
    END LOOP;
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
  SELECT t.kind, t.owner_id, least(sum(t.units), 9223372036854775807) AS under_way
  FROM (
    SELECT o.kind, o.owner_id, o.units FROM @extschema@.coupon_transfer AS o WHERE o.settled_at IS NULL
    UNION ALL
    SELECT r.kind, r.owner_id, r.units
    FROM @extschema@.coupon_user_transfer AS u
    CROSS JOIN LATERAL jsonb_to_recordset(u.payload OPERATOR(pg_catalog.->) 'rights') AS r (kind "char", owner_id int8, units int8)
    WHERE u.settled_at IS NULL
  ) AS t
  GROUP BY t.kind, t.owner_id
) AS move ON move.kind = part.kind AND move.owner_id = part.owner_id;
COMMENT ON VIEW @extschema@.coupon_guard_rights IS
  'per limit: how much it is in all, what of it this shard may give, what is used and what remains of that, and what has left, by itself or with users, and may be under way';

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

-- ---- what routers ask ----

-- What routers (coupon_guard_router, docs/shards.md) ask of a shard, besides what transfers units (rights.sql). Each call is a transaction of
-- its own. They run with the rights of the router's role, and keep no state but the table that follows.

-- Looks at all shards for units of a limit, by those who were refused here. The result of a look that began after a buyer had been
-- refused may be his answer too. Lost in a crash, and begun anew with later numbers: then nobody shares what was looked for before it.
CREATE UNLOGGED TABLE @extschema@.coupon_look (
  kind pg_catalog."char",
  name_key pg_catalog.text COLLATE pg_catalog."C",
  begun pg_catalog.int8 NOT NULL,
  in_vain pg_catalog.int8 NOT NULL DEFAULT 0,
  unanswered pg_catalog.int8 NOT NULL DEFAULT 0,
  used pg_catalog.int8,
  PRIMARY KEY (kind, name_key)
);
COMMENT ON TABLE @extschema@.coupon_look IS
  'looks of routers at all shards, for units of a limit; unlogged, for its rows may be lost at any time';
COMMENT ON COLUMN @extschema@.coupon_look.kind IS 'which limit it is, as in coupon_quota; f: codes of a campaign that nobody holds';
COMMENT ON COLUMN @extschema@.coupon_look.name_key IS 'coupon_key() of the coupon''s code, or of the campaign''s name';
COMMENT ON COLUMN @extschema@.coupon_look.begun IS 'number of the look that was begun last: the microsecond in which it began, since 1970, or a later one';
COMMENT ON COLUMN @extschema@.coupon_look.in_vain IS 'the last one that found that no shard has anything; 0: none has';
COMMENT ON COLUMN @extschema@.coupon_look.unanswered IS 'the last one in which a shard that may have something did not answer; 0: there was none';
COMMENT ON COLUMN @extschema@.coupon_look.used IS 'what had been used here when units were last moved ahead of need; NULL: they have not been';

CREATE FUNCTION @extschema@.coupon_shard_begin_look(kind pg_catalog."char", name pg_catalog.text)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  number int8;
BEGIN
  INSERT INTO @extschema@.coupon_look AS l (kind, name_key, begun)
  VALUES ($1, @extschema@.coupon_key($2), (extract(epoch FROM clock_timestamp()) * 1000000)::int8)
  ON CONFLICT ON CONSTRAINT coupon_look_pkey DO UPDATE SET begun = greatest(l.begun + 1, excluded.begun)
  RETURNING begun INTO number;
  RETURN number;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_begin_look(pg_catalog."char", pg_catalog.text) IS
  'for routers: begins a look at all shards for units of a limit, and returns its number';

CREATE FUNCTION @extschema@.coupon_shard_end_look(
  kind pg_catalog."char", name pg_catalog.text, number pg_catalog.int8, is_answered pg_catalog.bool)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  UPDATE @extschema@.coupon_look AS l
  SET in_vain = CASE WHEN $4 THEN greatest(l.in_vain, $3) ELSE l.in_vain END,
      unanswered = CASE WHEN $4 THEN l.unanswered ELSE greatest(l.unanswered, $3) END
  WHERE l.kind = $1 AND l.name_key = @extschema@.coupon_key($2);
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_end_look(pg_catalog."char", pg_catalog.text, pg_catalog.int8, pg_catalog.bool) IS
  'for routers: ends a look that found nothing, for no shard has anything, or because one did not answer';

-- What there is of a limit here. Under way is also what users who move have with them: a hold of theirs may end on the way. The evidence is of the statement's snapshot, the rest is read after it was taken: who gets the same
-- evidence twice knows that nothing came or went from the first reading to the second snapshot.
CREATE FUNCTION @extschema@.coupon_shard_units(name pg_catalog.text, kind pg_catalog."char")
RETURNS TABLE (
  shard pg_catalog.text, granted pg_catalog.int8, used pg_catalog.int8, remaining pg_catalog.int8, is_dry pg_catalog.bool, under_way pg_catalog.int8,
  has_holder pg_catalog.bool, transfers pg_catalog.int8, evidence pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM @extschema@.coupon_shard) THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  END IF;
  RETURN QUERY
  SELECT u.shard, u.granted, u.used, u.remaining, u.is_dry,
         u.under_way + (SELECT coalesce(sum(r.units), 0)::int8
                        FROM @extschema@.coupon_user_transfer AS m
                        CROSS JOIN LATERAL jsonb_to_recordset(m.payload->'rights') AS r (kind "char", owner_id int8, units int8)
                        WHERE m.direction = 'o' AND m.settled_at IS NULL AND r.kind = $2 AND r.owner_id = u.owner_id),
         coalesce(c.holder IS NOT NULL, false), u.transfers,
         concat_ws(' ', u.owner_id, u.transfers,
                   (SELECT md5(string_agg(concat_ws(' ', q.stripe, q.remaining, q.xmin, q.ctid), ',' ORDER BY q.stripe))
                    FROM @extschema@.coupon_quota AS q
                    WHERE q.owner_id = u.owner_id AND q.kind = $2))
  FROM @extschema@.coupon_guard_units($1, $2) AS u
  LEFT JOIN @extschema@.coupon AS c ON $2 IN ('c', 'b') AND c.id = u.owner_id
  WHERE $2 <> 'f' AND u.owner_id IS NOT NULL
  UNION ALL
  SELECT s.name, NULL, NULL, NULL, NULL, 0, false, 0, 'no limit'
  FROM @extschema@.coupon AS c, @extschema@.coupon_shard AS s
  WHERE c.code_key = @extschema@.coupon_key($1) AND CASE $2 WHEN 'c' THEN c.max_redemptions WHEN 'b' THEN c.budget ELSE 0 END IS NULL
  UNION ALL
  SELECT s.name, NULL, NULL, NULL, NULL, 0, false, 0, 'no limit'
  FROM @extschema@.campaign AS p, @extschema@.coupon_shard AS s
  WHERE p.name_key = @extschema@.coupon_key($1) AND CASE $2 WHEN 'C' THEN p.max_redemptions WHEN 'B' THEN p.budget ELSE 0 END IS NULL
  UNION ALL
  SELECT s.name, free.codes, 0, free.codes, free.codes = 0, way.units, false, way.transfers, concat_ws(' ', p.id, free.codes, way.transfers)
  FROM @extschema@.campaign AS p
  LEFT JOIN @extschema@.coupon_shard AS s ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS codes
    FROM (
      SELECT
      FROM @extschema@.coupon AS c
      WHERE c.campaign_id = p.id AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
        AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
        AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                        WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                          AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
      LIMIT 100) AS f) AS free
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.units) FILTER (WHERE t.direction = 'o' AND t.settled_at IS NULL), 0)::int8 AS units, count(*) AS transfers
    FROM @extschema@.coupon_transfer AS t
    JOIN @extschema@.coupon AS c ON c.id = t.owner_id
    WHERE t.kind = 'c' AND c.campaign_id = p.id) AS way
  WHERE $2 = 'f' AND p.name_key = @extschema@.coupon_key($1);
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_units(pg_catalog.text, pg_catalog."char") IS
  'for routers: what there is of a limit here (NULL: no limit), or (f) how many codes of a campaign that nobody holds; no row: no such coupon; waits for nobody';

CREATE FUNCTION @extschema@.coupon_shard_limits(code pg_catalog.text, campaign pg_catalog.text)
RETURNS TABLE (
  kind pg_catalog."char", name pg_catalog.text, remaining pg_catalog.int8, begun pg_catalog.int8, in_vain pg_catalog.int8,
  unanswered pg_catalog.int8, now pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT here.kind, here.name, here.remaining, coalesce(k.begun, 0), coalesce(k.in_vain, 0), coalesce(k.unanswered, 0),
    (extract(epoch FROM clock_timestamp()) * 1000000)::int8
  FROM (
    SELECT l.place, l.kind, l.name, u.remaining
    FROM @extschema@.coupon AS c
    LEFT JOIN @extschema@.campaign AS p ON p.id = c.campaign_id
    CROSS JOIN LATERAL (VALUES (1, 'C'::"char", p.name, p.max_redemptions, p.rights), (2, 'B', p.name, p.budget, p.budget_rights),
                               (3, 'c', c.code, c.max_redemptions, c.rights), (4, 'b', c.code, c.budget, c.budget_rights))
      AS l (place, kind, name, in_all, rights)
    CROSS JOIN LATERAL @extschema@.coupon_guard_units(l.name, l.kind) AS u
    WHERE c.code_key = @extschema@.coupon_key($1) AND l.in_all IS NOT NULL AND l.rights IS NOT NULL
    UNION ALL
    SELECT 5, 'f', $2, u.remaining FROM @extschema@.coupon_shard_units($2, 'f') AS u
  ) AS here
  LEFT JOIN @extschema@.coupon_look AS k ON k.kind = here.kind AND k.name_key = @extschema@.coupon_key(here.name)
  ORDER BY here.place;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_limits(pg_catalog.text, pg_catalog.text) IS
  'for routers: limits of a coupon that are divided over shards, in the order in which a redemption takes from them, or codes of a campaign; and looks for more';

CREATE FUNCTION @extschema@.coupon_shard_use(name pg_catalog.text, kind pg_catalog."char")
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  used_now CONSTANT int8 := (SELECT u.used FROM @extschema@.coupon_guard_units($1, $2) AS u);
  used_then int8;
BEGIN
  SELECT l.used INTO used_then FROM @extschema@.coupon_look AS l WHERE l.kind = $2 AND l.name_key = @extschema@.coupon_key($1);
  INSERT INTO @extschema@.coupon_look (kind, name_key, begun, used) VALUES ($2, @extschema@.coupon_key($1), 0, used_now)
  ON CONFLICT ON CONSTRAINT coupon_look_pkey DO UPDATE SET used = excluded.used;
  RETURN CASE WHEN used_now < used_then THEN 0 ELSE used_now - used_then END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_use(pg_catalog.text, pg_catalog."char") IS
  'for routers: how much of a limit has been used here since this was asked last; NULL: it was not, or there is no such limit';

CREATE FUNCTION @extschema@.coupon_shard_unsettled(of_kind pg_catalog."char", of_name pg_catalog.text)
RETURNS TABLE (transfer_id pg_catalog.uuid, kind pg_catalog."char", name pg_catalog.text, units pg_catalog.int8, peer pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT t.transfer_id, t.kind, coalesce(c.code, p.name), t.units, t.peer
  FROM @extschema@.coupon_transfer AS t
  LEFT JOIN @extschema@.coupon AS c ON t.kind IN ('c', 'b') AND c.id = t.owner_id
  LEFT JOIN @extschema@.campaign AS p ON p.id = CASE WHEN t.kind IN ('C', 'B') THEN t.owner_id ELSE c.campaign_id END
  WHERE t.direction = 'o' AND t.settled_at IS NULL
    AND CASE $1 WHEN 'c' THEN t.kind = $1 AND c.code_key = @extschema@.coupon_key($2)
                WHEN 'b' THEN t.kind = $1 AND c.code_key = @extschema@.coupon_key($2)
                WHEN 'f' THEN t.kind = 'c' AND p.name_key = @extschema@.coupon_key($2)
                ELSE $1 IS NULL OR t.kind = $1 AND p.name_key = @extschema@.coupon_key($2) END
    AND coalesce(c.code, p.name) IS NOT NULL
  ORDER BY t.made_at;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_unsettled(pg_catalog."char", pg_catalog.text) IS
  'for routers: units of a limit that have left this shard and of which it is not known that they have arrived; NULL: of all limits';

CREATE FUNCTION @extschema@.coupon_shard_unsettled_users()
RETURNS TABLE (transfer_id pg_catalog.uuid, peer pg_catalog.text, payload pg_catalog.jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT m.transfer_id, m.peer, m.payload
  FROM @extschema@.coupon_user_transfer AS m
  WHERE m.direction = 'o' AND m.settled_at IS NULL AND m.payload IS NOT NULL ORDER BY m.made_at;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_unsettled_users() IS
  'for routers: users who have left this shard and of whom it is not known that they have arrived';

-- A coupon that has a holder goes nowhere: it is with its holder.
CREATE FUNCTION @extschema@.coupon_shard_row(code pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT jsonb_build_object('coupon', to_jsonb(c), 'campaign', to_jsonb(p))
    FROM @extschema@.coupon AS c LEFT JOIN @extschema@.campaign AS p ON p.id = c.campaign_id
    WHERE c.code_key = @extschema@.coupon_key($1));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_row(pg_catalog.text) IS 'for routers: the rows of a coupon and of its campaign; NULL: there is none here';

CREATE FUNCTION @extschema@.coupon_shard_campaign_row(name pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT jsonb_build_object('campaign', to_jsonb(p)) FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key($1));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_campaign_row(pg_catalog.text) IS 'for routers: the row of a campaign; NULL: there is none here';

-- Rights of a limit in a row that is written. Where the limit appears, what has been used here is all that may have been used here:
-- nobody else has rights of it yet, and the home of the row is given the rest at the end. Where it changes, the home has the difference.
CREATE FUNCTION @extschema@.coupon_shard_new_rights(
  is_home pg_catalog.bool, old_limit pg_catalog.int8, old_rights pg_catalog.int8, new_limit pg_catalog.int8, new_rights pg_catalog.int8,
  used pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF new_limit IS NULL AND old_limit IS NOT NULL THEN
    RAISE EXCEPTION 'a limit that is divided over shards cannot be taken away' USING ERRCODE = 'feature_not_supported',
      HINT = 'Raise it.';
  ELSIF new_limit IS NULL THEN
    RETURN CASE WHEN is_home THEN NULL ELSE 0 END;
  ELSIF old_limit IS NOT NULL THEN
    RETURN CASE WHEN is_home THEN coalesce(old_rights, old_limit) + new_limit - old_limit ELSE old_rights END;
  ELSIF new_rights < used THEN
    RAISE EXCEPTION 'the limit % is below what is in use', new_limit USING ERRCODE = 'check_violation';
  END IF;
  RETURN coalesce(new_rights, used);
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_new_rights(pg_catalog.bool, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8,
  pg_catalog.int8) IS 'for routers: which rights a shard has when a limit appears or changes';

-- A row of coupon or campaign, made or changed: what is not in the given one is left as it is. It is the home's, where its limits' rights
-- are at first, or a copy, whose rights come by transfers. Of a new limit what is used already is counted with the ledger locked: so
-- nobody redeems without the limit any more.
DO $put$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('coupon', 'code', 'coupon_id', 'code, active, starts_at, expires_at, max_redemptions, max_per_user, stripes, terms, created_at, budget, campaign_id',
       '{"active": true, "max_per_user": 1}', ', holder', ', new_row.holder'),
      ('campaign', 'name', 'campaign_id', 'name, active, starts_at, expires_at, max_redemptions, max_per_user, budget, terms, created_at',
       '{"active": true}', '', '')) AS t (name, key, ledger_column, columns, defaults, only_new, only_new_values)
  LOOP
    EXECUTE replace(replace(replace(replace(replace(replace(replace(replace($create$
CREATE FUNCTION @extschema@.coupon_shard_put_<name>(given pg_catalog.jsonb, is_home pg_catalog.bool)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $body$
DECLARE
  old_row @extschema@.<name>;
  new_row @extschema@.<name>;
  used record;
BEGIN
  SELECT * INTO old_row FROM @extschema@.<name> AS o WHERE o.<key>_key = @extschema@.coupon_key(given->>'<key>');
  IF NOT FOUND THEN
    new_row := jsonb_populate_record(NULL::@extschema@.<name>, '<defaults>'::jsonb || given);
    new_row.id := coalesce(new_row.id, nextval(pg_get_serial_sequence('@extschema@.<name>', 'id')));
    new_row.rights := CASE WHEN NOT is_home THEN 0 WHEN given ? 'rights' THEN new_row.rights ELSE new_row.max_redemptions END;
    new_row.budget_rights := CASE WHEN NOT is_home THEN 0 WHEN given ? 'budget_rights' THEN new_row.budget_rights ELSE new_row.budget END;
    new_row.created_at := coalesce(new_row.created_at, now());
    INSERT INTO @extschema@.<name> (id, <columns>, rights, budget_rights<only_new>)
    SELECT new_row.id, <new_columns>, new_row.rights, new_row.budget_rights<only_new_values>
    ON CONFLICT (<key>_key) DO NOTHING;
  END IF;
  IF old_row IS NULL AND FOUND THEN
    RETURN (SELECT to_jsonb(n) FROM @extschema@.<name> AS n WHERE n.id = new_row.id);
  END IF;
  SELECT * INTO STRICT old_row FROM @extschema@.<name> AS o WHERE o.<key>_key = @extschema@.coupon_key(given->>'<key>');
  new_row := jsonb_populate_record(old_row, given);
  IF new_row.id <> old_row.id THEN
    RAISE EXCEPTION '<name> "%" is another one on this shard', old_row.<key> USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('Its id here is %s, not %s.', old_row.id, new_row.id);
  END IF;
  IF (old_row.max_redemptions IS NULL AND new_row.max_redemptions IS NOT NULL) OR (old_row.budget IS NULL AND new_row.budget IS NOT NULL) THEN
    LOCK TABLE @extschema@.coupon_redemption IN SHARE MODE;
    SELECT count(*) AS units, coalesce(sum(r.amount), 0)::int8 AS amount INTO used
    FROM @extschema@.coupon_redemption AS r WHERE r.<ledger_column> = old_row.id AND r.voided_at IS NULL;
  ELSE
    SELECT 0::int8 AS units, 0::int8 AS amount INTO used;
  END IF;
  SELECT * INTO STRICT old_row FROM @extschema@.<name> AS o WHERE o.id = new_row.id FOR UPDATE;
  new_row := jsonb_populate_record(old_row, given);
  new_row.rights := @extschema@.coupon_shard_new_rights(is_home, old_row.max_redemptions, old_row.rights, new_row.max_redemptions,
    CASE WHEN is_home THEN (given->>'rights')::int8 END, used.units);
  new_row.budget_rights := @extschema@.coupon_shard_new_rights(is_home, old_row.budget, old_row.budget_rights, new_row.budget,
    CASE WHEN is_home THEN (given->>'budget_rights')::int8 END, used.amount);
  UPDATE @extschema@.<name> AS o SET (<columns>, rights, budget_rights) = ROW (<new_columns>, new_row.rights, new_row.budget_rights)
  WHERE o.id = new_row.id;
  RETURN (SELECT to_jsonb(n) FROM @extschema@.<name> AS n WHERE n.id = new_row.id);
END
$body$$create$, '<name>', one.name), '<key>', one.key), '<ledger_column>', one.ledger_column), '<columns>', one.columns),
      '<new_columns>', regexp_replace(one.columns, E'(\\w+)(,|$)', E'new_row.\\1\\2', 'g')), '<defaults>', one.defaults),
      '<only_new>', one.only_new), '<only_new_values>', one.only_new_values);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.coupon_shard_put_%s(pg_catalog.jsonb, pg_catalog.bool) IS %L', one.name,
      format('for routers: make or change a row of %s, at its home or as a copy; the row as it is then', one.name));
  END LOOP;
END
$put$;

CREATE FUNCTION @extschema@.coupon_shard_delete(coupon pg_catalog.text, campaign pg_catalog.text)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  number CONSTANT int8 := (SELECT s.number FROM @extschema@.coupon_shard AS s);
BEGIN
  DELETE FROM @extschema@.coupon_look AS l
  WHERE (l.kind IN ('c', 'b') AND l.name_key = @extschema@.coupon_key($1)) OR (l.kind IN ('C', 'B', 'f') AND l.name_key = @extschema@.coupon_key($2));
  -- With its rights gone from here, or all of them home: a unit that has just come is not deleted along with its row.
  DELETE FROM @extschema@.coupon AS c
  WHERE c.code_key = @extschema@.coupon_key($1)
    AND (c.max_redemptions IS NULL OR coalesce(c.rights, c.max_redemptions) = CASE WHEN c.id >> 40 = number THEN c.max_redemptions ELSE 0 END)
    AND (c.budget IS NULL OR coalesce(c.budget_rights, c.budget) = CASE WHEN c.id >> 40 = number THEN c.budget ELSE 0 END);
  DELETE FROM @extschema@.campaign AS p
  WHERE p.name_key = @extschema@.coupon_key($2)
    AND (p.max_redemptions IS NULL OR coalesce(p.rights, p.max_redemptions) = CASE WHEN p.id >> 40 = number THEN p.max_redemptions ELSE 0 END)
    AND (p.budget IS NULL OR coalesce(p.budget_rights, p.budget) = CASE WHEN p.id >> 40 = number THEN p.budget ELSE 0 END);
  IF EXISTS (SELECT FROM @extschema@.coupon AS c WHERE c.code_key = @extschema@.coupon_key($1))
     OR EXISTS (SELECT FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key($2)) THEN
    RAISE EXCEPTION 'not all units of "%" are home', left(coalesce($1, $2), 255) USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'What is redeemed or held stays. Call drop_coupon() or drop_campaign() of a router again, once it is voided.';
  END IF;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_delete(pg_catalog.text, pg_catalog.text) IS
  'for routers: delete a coupon by its code, or a campaign by its name, that has no redemptions and whose units are home';

-- The rows that are of another shard, and a digest of what they have in common with the row there; or the same of given ids.
CREATE FUNCTION @extschema@.coupon_shard_digests(is_campaign pg_catalog.bool, ids pg_catalog.int8[])
RETURNS TABLE (id pg_catalog.int8, name pg_catalog.text, digest pg_catalog.text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.id, c.code, md5((to_jsonb(c) - '{rights,budget_rights,holder}'::text[])::text)
  FROM @extschema@.coupon AS c
  WHERE NOT $1 AND CASE WHEN $2 IS NULL THEN c.id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
                        ELSE c.id = ANY ($2) END
  UNION ALL
  SELECT p.id, p.name, md5((to_jsonb(p) - '{rights,budget_rights}'::text[])::text)
  FROM @extschema@.campaign AS p
  WHERE $1 AND CASE WHEN $2 IS NULL THEN p.id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
                    ELSE p.id = ANY ($2) END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_digests(pg_catalog.bool, pg_catalog.int8[]) IS
  'for routers: a digest of each row that is a copy of another shard''s (ids NULL), or of the rows with these ids';

CREATE FUNCTION @extschema@.coupon_shard_known_codes(codes pg_catalog.text[])
RETURNS SETOF pg_catalog.text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT c.code FROM @extschema@.coupon AS c WHERE c.code_key = ANY (ARRAY(SELECT @extschema@.coupon_key(n) FROM unnest($1) AS n));
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_known_codes(pg_catalog.text[]) IS 'for routers: which of these codes there are here';

-- A free code leaves with all its units. What is locked may be free in a moment, or not: that is waited for, if there is nothing else.
CREATE FUNCTION @extschema@.coupon_shard_release_code(campaign pg_catalog.text, transfer_id pg_catalog.uuid, to_shard pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  in_campaign int8;
  free record;
  released int8;
BEGIN
  SELECT p.id INTO in_campaign FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key(campaign);
  FOR try IN 1 .. 1000 LOOP
    SELECT c.code, coalesce(c.rights, c.max_redemptions) AS units INTO free
    FROM @extschema@.coupon AS c
    WHERE c.campaign_id = in_campaign AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
      AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
      AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                      WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                        AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
    LIMIT 1 FOR UPDATE OF c SKIP LOCKED;
    IF NOT FOUND THEN
      SELECT c.code, coalesce(c.rights, c.max_redemptions) AS units INTO free
      FROM @extschema@.coupon AS c
      WHERE c.campaign_id = in_campaign AND c.holder IS NULL AND c.active AND coalesce(c.rights, c.max_redemptions) > 0
        AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
        AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r
                        WHERE r.coupon_id = c.id AND r.voided_at IS NULL
                          AND (r.hold_expires_at IS NULL OR r.hold_expires_at > clock_timestamp()))
      LIMIT 1 FOR UPDATE OF c;
    END IF;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
    released := @extschema@.release_units(free.code, free.units, transfer_id, to_shard);
    IF released > 0 THEN
      RETURN @extschema@.coupon_shard_row(free.code) || jsonb_build_object('units', released);
    END IF;
  END LOOP;
  RAISE EXCEPTION 'no code of campaign "%" stays free for long enough', campaign USING ERRCODE = 'serialization_failure';
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_release_code(pg_catalog.text, pg_catalog.uuid, pg_catalog.text) IS
  'for routers: let a code of the campaign that nobody holds go to another shard, with all its units; its rows, and how many units';

CREATE FUNCTION @extschema@.coupon_shard_redemption_of(user_id pg_catalog.text, redemption_id pg_catalog.int8)
RETURNS pg_catalog.int8
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF redemption_id IS NOT NULL
     AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r WHERE r.id = $2 AND r.user_id = $1) THEN
    RAISE EXCEPTION 'redemption % does not exist', redemption_id USING ERRCODE = 'RC008',
      DETAIL = format('User "%s" has no committed redemption or hold with this ID.', user_id);
  END IF;
  RETURN redemption_id;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_redemption_of(pg_catalog.text, pg_catalog.int8) IS
  'for routers: the id of a redemption, if it is the user''s (RC008 if not)';

CREATE FUNCTION @extschema@.coupon_shard_divided(ids pg_catalog.int8[])
RETURNS TABLE (
  kind pg_catalog."char", owner_id pg_catalog.int8, name pg_catalog.text, in_all pg_catalog.int8, rights pg_catalog.int8,
  under_way pg_catalog.int8, transfers pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT l.kind, l.owner_id, l.name, l.in_all, coalesce(l.rights, l.in_all), t.under_way, t.transfers
  FROM (
    SELECT 'c'::"char" AS kind, c.id AS owner_id, c.code AS name, c.max_redemptions AS in_all, c.rights FROM @extschema@.coupon AS c
    UNION ALL
    SELECT 'b', c.id, c.code, c.budget, c.budget_rights FROM @extschema@.coupon AS c
    UNION ALL
    SELECT 'C', p.id, p.name, p.max_redemptions, p.rights FROM @extschema@.campaign AS p
    UNION ALL
    SELECT 'B', p.id, p.name, p.budget, p.budget_rights FROM @extschema@.campaign AS p) AS l
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(m.units) FILTER (WHERE m.settled_at IS NULL), 0)::int8 AS under_way, count(*) FILTER (WHERE NOT m.of_user) AS transfers
    FROM (
      SELECT o.units, o.settled_at, false AS of_user FROM @extschema@.coupon_transfer AS o WHERE o.kind = l.kind AND o.owner_id = l.owner_id
      UNION ALL
      SELECT r.units, NULL, true
      FROM @extschema@.coupon_user_transfer AS o
      CROSS JOIN LATERAL jsonb_to_recordset(o.payload->'rights') AS r (kind "char", owner_id int8, units int8)
      WHERE o.direction = 'o' AND o.settled_at IS NULL AND r.kind = l.kind AND r.owner_id = l.owner_id) AS m) AS t
  WHERE l.in_all IS NOT NULL
    AND CASE WHEN $1 IS NULL THEN l.rights IS NOT NULL OR l.owner_id >> 40 IS DISTINCT FROM (SELECT s.number FROM @extschema@.coupon_shard AS s)
             ELSE l.owner_id = ANY ($1) END;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_divided(pg_catalog.int8[]) IS
  'for routers: limits that are divided over shards (ids NULL), or those of coupons and campaigns with these ids, and what has been moved of them';

CREATE FUNCTION @extschema@.coupon_shard_strangers(own pg_catalog.int4[], partitions pg_catalog.int4, is_modular pg_catalog.bool)
RETURNS TABLE (user_id pg_catalog.text, redemptions pg_catalog.int8)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT r.user_id, count(*)
  FROM @extschema@.coupon_redemption AS r
  WHERE CASE WHEN $3 THEN abs(hashtext(r.user_id)::int8) % $2 ELSE hashtext(r.user_id) & ($2 - 1) END <> ALL ($1)
  GROUP BY r.user_id
  LIMIT 1000;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_shard_strangers(pg_catalog.int4[], pg_catalog.int4, pg_catalog.bool) IS
  'for routers: users who have redemptions here and belong to another shard; 1,000 at the most';

-- ---- moving users ----

-- SECURITY DEFINER, for whoever redeems need have no right to read the tables; so it is the extension's owner's (privileges.sql).
CREATE FUNCTION @extschema@.coupon_guard_refuse_moved()
RETURNS pg_catalog.trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  this_user text;
  is_gate_closed bool;
  last_direction "char";
BEGIN
  IF TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_RELID = '@extschema@.coupon_redemption'::regclass AND TG_OP = 'INSERT' THEN
    this_user := NEW.user_id;
  ELSIF TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_RELID = '@extschema@.coupon'::regclass AND TG_OP IN ('INSERT', 'UPDATE') THEN
    this_user := NEW.holder;
  ELSE
    RAISE EXCEPTION 'coupon_guard_refuse_moved() is for the triggers that coupon_guard_begin_moves() makes' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  SELECT g.is_closed INTO is_gate_closed FROM @extschema@.coupon_user_gate AS g WHERE g.number = hashtext(this_user) & 255 FOR SHARE;
  SELECT t.direction INTO last_direction
  FROM @extschema@.coupon_user_transfer AS t WHERE t.user_id = this_user ORDER BY t.transfer_no DESC LIMIT 1;
  IF last_direction = 'o' OR (is_gate_closed AND last_direction IS DISTINCT FROM 'i') THEN
    RAISE EXCEPTION 'user "%" is on another shard, or moving', left(this_user, 100) USING ERRCODE = 'RC015',
      HINT = 'Ask a router, or shard_of() there, where the user is.';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_refuse_moved() IS
  'trigger on coupon_redemption and coupon, between coupon_guard_begin_moves() and coupon_guard_end_moves(): a user who has moved redeems and claims nothing here';

CREATE FUNCTION @extschema@.coupon_guard_begin_moves()
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM @extschema@.coupon_shard) THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  END IF;
  -- Whoever redeems later meets the triggers.
  LOCK TABLE @extschema@.coupon_redemption IN SHARE ROW EXCLUSIVE MODE;
  INSERT INTO @extschema@.coupon_user_gate (number) SELECT generate_series(0, 255) ON CONFLICT DO NOTHING;
  CREATE OR REPLACE TRIGGER coupon_redemption_refuse_moved
  BEFORE INSERT ON @extschema@.coupon_redemption
  FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_refuse_moved();
  CREATE OR REPLACE TRIGGER coupon_refuse_moved
  BEFORE INSERT OR UPDATE OF holder ON @extschema@.coupon
  FOR EACH ROW WHEN (NEW.holder IS NOT NULL) EXECUTE FUNCTION @extschema@.coupon_guard_refuse_moved();
  ALTER TABLE @extschema@.coupon_redemption ENABLE TRIGGER coupon_redemption_refuse_moved;
  ALTER TABLE @extschema@.coupon ENABLE TRIGGER coupon_refuse_moved;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_begin_moves() IS
  'from now on users can move from this shard, and whoever has moved is refused here (RC015)';

CREATE FUNCTION @extschema@.coupon_guard_end_moves()
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
  LOCK TABLE @extschema@.coupon_redemption IN ACCESS EXCLUSIVE MODE;
  DROP TRIGGER IF EXISTS coupon_redemption_refuse_moved ON @extschema@.coupon_redemption;
  DROP TRIGGER IF EXISTS coupon_refuse_moved ON @extschema@.coupon;
  DELETE FROM @extschema@.coupon_user_gate;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_end_moves() IS
  'users move from this shard no more, and redemptions cost no more than before; whoever has moved is not refused any longer';

CREATE FUNCTION @extschema@.coupon_guard_close_partition(partition pg_catalog.int4, partitions pg_catalog.int4, is_closed pg_catalog.bool DEFAULT true)
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  IF $1 IS NULL OR $2 IS NULL OR $3 IS NULL THEN
    RAISE EXCEPTION 'partition, partitions and is_closed must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF $2 NOT BETWEEN 1 AND 256 OR $2 & ($2 - 1) <> 0 OR $1 NOT BETWEEN 0 AND $2 - 1 THEN
    RAISE EXCEPTION 'there is no partition % of %', $1, $2 USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'There are 1, 2, 4, ... or 256 partitions, and they are numbered from 0.';
  END IF;
  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1, is_closed = $3 WHERE g.number & ($2 - 1) = $1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'users do not move from this shard or to it' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Call coupon_guard_begin_moves() first.';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_close_partition(pg_catalog.int4, pg_catalog.int4, pg_catalog.bool) IS
  'from now on users of this partition (hashtext(user_id) & partitions - 1) are refused here, but for those who have come from another shard; or (false) no longer';

-- Rows travel as the text of each column, whatever columns a shop has added: as JSON a value could become another one (null, numbers).
CREATE FUNCTION @extschema@.coupon_guard_row_texts(relation pg_catalog.regclass)
RETURNS pg_catalog.text
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
  SELECT format('pg_catalog.jsonb_object(ARRAY[%s]::pg_catalog.text[])', string_agg(format('%L, r.%I::pg_catalog.text', a.attname, a.attname), ', ' ORDER BY a.attnum))
  FROM pg_attribute AS a
  WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
END;
COMMENT ON FUNCTION @extschema@.coupon_guard_row_texts(pg_catalog.regclass) IS
  'an expression that makes of row r of a table a JSON object with the text of each column, generated ones apart';

CREATE FUNCTION @extschema@.coupon_guard_insert_texts(relation pg_catalog.regclass, texts pg_catalog.jsonb, skips_present pg_catalog.bool)
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
AS $$
DECLARE
  names text;
  columns text;
  missing text;
BEGIN
  SELECT string_agg(format('%I', k.name), ', '), string_agg(format('(v.one->>%L)::%s', k.name, format_type(a.atttypid, a.atttypmod)), ', '),
         min(k.name) FILTER (WHERE a.attname IS NULL)
  INTO names, columns, missing
  FROM jsonb_object_keys(texts->0) AS k (name)
  LEFT JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = k.name AND a.attnum > 0 AND NOT a.attisdropped;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of relation "%" does not exist on this shard', missing, relation USING ERRCODE = 'undefined_column',
      HINT = 'Add to the tables of all shards the same columns.';
  END IF;
  IF names IS NOT NULL THEN
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM jsonb_array_elements($1) AS v (one)', relation, names, columns)
      || CASE WHEN skips_present THEN ' ON CONFLICT (id) DO NOTHING' ELSE '' END
    USING texts;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_insert_texts(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.bool) IS
  'inserts rows that coupon_guard_row_texts() has made; or those whose id is not there yet';

CREATE FUNCTION @extschema@.release_user(user_id pg_catalog.text, transfer_id pg_catalog.uuid, to_shard pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
  own_name CONSTANT text := (SELECT s.name FROM @extschema@.coupon_shard AS s);
  made @extschema@.coupon_user_transfer;
  last_move record;
  redemptions jsonb;
  coupons jsonb;
  campaigns jsonb;
  rights jsonb;
  held int8[];
  coupon_ids int8[];
  one record;
BEGIN
  IF $1 IS NULL OR $2 IS NULL OR $3 IS NULL THEN
    RAISE EXCEPTION 'user_id, transfer_id and to_shard must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF own_name IS NULL THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  ELSIF $3 = own_name OR octet_length($3) NOT BETWEEN 1 AND 63 THEN
    RAISE EXCEPTION 'a user moves to another shard, not to "%"', left($3, 100) USING ERRCODE = 'invalid_parameter_value',
      DETAIL = format('This is shard "%s".', own_name);
  ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    -- Under an older snapshot what others have committed meanwhile would be left behind.
    RAISE EXCEPTION 'users move in READ COMMITTED transactions only' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1 WHERE g.number = hashtext($1) & 255;
  IF NOT FOUND OR (
    SELECT count(*) FROM pg_trigger AS t
    WHERE t.tgrelid IN ('@extschema@.coupon_redemption'::regclass, '@extschema@.coupon'::regclass)
      AND t.tgfoid = '@extschema@.coupon_guard_refuse_moved'::regproc AND t.tgenabled IN ('O', 'A')) < 2
  THEN
    RAISE EXCEPTION 'users do not move from this shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Call coupon_guard_begin_moves() first.';
  END IF;
  SELECT * INTO made FROM @extschema@.coupon_user_transfer AS t WHERE t.transfer_id = $2;
  IF FOUND THEN
    IF made.direction <> 'o' OR made.user_id <> $1 OR made.peer <> $3 THEN
      RAISE EXCEPTION 'transfer id % has been used for another transfer', $2 USING ERRCODE = 'RC013',
        HINT = 'Use a new transfer id for a new transfer.';
    END IF;
    RETURN made.payload;
  END IF;
  SELECT t.transfer_no, t.direction, t.transfer_id, t.peer INTO last_move
  FROM @extschema@.coupon_user_transfer AS t WHERE t.user_id = $1 ORDER BY t.transfer_no DESC LIMIT 1;
  IF last_move.direction = 'o' THEN
    RAISE EXCEPTION 'user "%" has left already', left($1, 100) USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('Transfer %s went to shard "%s".', last_move.transfer_id, last_move.peer);
  END IF;

  -- The rows leave; what they used goes back to the quotas, from where the rights that leave with them are taken below.
  EXECUTE format(
    'WITH gone AS (DELETE FROM @extschema@.coupon_redemption AS r WHERE r.user_id = $1 RETURNING r.id, %s AS texts)
     SELECT coalesce(jsonb_agg(g.texts ORDER BY g.id), ''[]'') FROM gone AS g', @extschema@.coupon_guard_row_texts('@extschema@.coupon_redemption'))
  INTO redemptions USING $1;
  SELECT array_agg(c.id ORDER BY c.id) INTO held FROM @extschema@.coupon AS c WHERE c.holder = $1;

  coupon_ids := held || ARRAY(SELECT DISTINCT (r.one->>'coupon_id')::int8 FROM jsonb_array_elements(redemptions) AS r (one));
  EXECUTE format(
    'SELECT coalesce(jsonb_agg(%s || ''{"rights": "0", "budget_rights": "0"}'' ORDER BY r.id), ''[]'') FROM @extschema@.coupon AS r WHERE r.id = ANY ($1)',
    @extschema@.coupon_guard_row_texts('@extschema@.coupon'))
  INTO coupons USING coupon_ids;
  EXECUTE format(
    'SELECT coalesce(jsonb_agg(%s || ''{"rights": "0", "budget_rights": "0"}'' ORDER BY r.id), ''[]'') FROM @extschema@.campaign AS r WHERE r.id = ANY ($1)',
    @extschema@.coupon_guard_row_texts('@extschema@.campaign'))
  INTO campaigns USING ARRAY(SELECT DISTINCT (r.one->>'campaign_id')::int8 FROM jsonb_array_elements(redemptions || coupons) AS r (one));

  -- What the live rows use of each limit; of a coupon that the user holds all rights but those that others use.
  SELECT coalesce(jsonb_agg(jsonb_build_object('kind', u.kind, 'owner_id', u.owner_id, 'units', u.units) ORDER BY strpos('CBcb', u.kind), u.owner_id), '[]')
  INTO rights
  FROM (
    WITH live AS (
      SELECT (r.one->>'coupon_id')::int8 AS coupon_id, (r.one->>'campaign_id')::int8 AS campaign_id, count(*) AS units,
             coalesce(sum((r.one->>'amount')::int8), 0) AS amount
      FROM jsonb_array_elements(redemptions) AS r (one) WHERE r.one->>'voided_at' IS NULL GROUP BY 1, 2
    ), coupon_use AS (
      SELECT c.id, c.max_redemptions, c.budget,
             CASE WHEN c.id = ANY (held) THEN coalesce(c.rights, c.max_redemptions) - others.units ELSE (SELECT sum(l.units) FROM live AS l WHERE l.coupon_id = c.id) END AS units,
             CASE WHEN c.id = ANY (held) THEN coalesce(c.budget_rights, c.budget) - others.amount ELSE (SELECT sum(l.amount) FROM live AS l WHERE l.coupon_id = c.id) END AS amount
      FROM @extschema@.coupon AS c
      CROSS JOIN LATERAL (
        SELECT count(*) AS units, coalesce(sum(r.amount), 0) AS amount FROM @extschema@.coupon_redemption AS r
        WHERE c.id = ANY (held) AND r.coupon_id = c.id AND r.voided_at IS NULL) AS others
      WHERE c.id = ANY (coupon_ids)
    ), campaign_use AS (
      SELECT p.id, p.max_redemptions, p.budget, sum(l.units) AS units, sum(l.amount) AS amount
      FROM @extschema@.campaign AS p JOIN live AS l ON l.campaign_id = p.id
      GROUP BY p.id
    )
    SELECT 'c' AS kind, u.id AS owner_id, u.units FROM coupon_use AS u WHERE u.max_redemptions IS NOT NULL
    UNION ALL SELECT 'b', u.id, u.amount FROM coupon_use AS u WHERE u.budget IS NOT NULL
    UNION ALL SELECT 'C', u.id, u.units FROM campaign_use AS u WHERE u.max_redemptions IS NOT NULL
    UNION ALL SELECT 'B', u.id, u.amount FROM campaign_use AS u WHERE u.budget IS NOT NULL
  ) AS u
  WHERE u.units > 0;

  FOR one IN
    SELECT r.owner_id, max(r.units) FILTER (WHERE r.kind IN ('C', 'c')) AS units, max(r.units) FILTER (WHERE r.kind IN ('B', 'b')) AS amount,
           bool_or(r.kind IN ('C', 'B')) AS of_campaign
    FROM jsonb_to_recordset(rights) AS r (kind text, owner_id int8, units int8)
    GROUP BY r.owner_id, r.kind IN ('C', 'B') ORDER BY of_campaign DESC, r.owner_id
  LOOP
    IF one.of_campaign THEN
      UPDATE @extschema@.campaign AS p
      SET rights = CASE WHEN one.units IS NULL THEN p.rights ELSE coalesce(p.rights, p.max_redemptions) - one.units END,
          budget_rights = CASE WHEN one.amount IS NULL THEN p.budget_rights ELSE coalesce(p.budget_rights, p.budget) - one.amount END
      WHERE p.id = one.owner_id;
    ELSE
      UPDATE @extschema@.coupon AS c
      SET rights = CASE WHEN one.units IS NULL THEN c.rights ELSE coalesce(c.rights, c.max_redemptions) - one.units END,
          budget_rights = CASE WHEN one.amount IS NULL THEN c.budget_rights ELSE coalesce(c.budget_rights, c.budget) - one.amount END
      WHERE c.id = one.owner_id;
    END IF;
  END LOOP;
  -- Who has the code without a cap, or has it after others, is still the only one who may redeem it.
  UPDATE @extschema@.coupon AS c SET holder = NULL
  WHERE c.id = ANY (held) AND c.max_redemptions IS NOT NULL
    AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r WHERE r.coupon_id = c.id AND r.voided_at IS NULL);

  INSERT INTO @extschema@.coupon_user_transfer AS t (transfer_id, direction, user_id, transfer_no, peer, payload)
  VALUES ($2, 'o', $1, coalesce(last_move.transfer_no, 0) + 1, $3, jsonb_build_object(
    'transfer_id', $2, 'user_id', $1, 'from', own_name, 'to', $3, 'campaigns', campaigns, 'coupons', coupons,
    'held', to_jsonb(coalesce(held, '{}')), 'rights', rights, 'redemptions', redemptions))
  RETURNING * INTO made;
  RETURN made.payload;
END
$$;
COMMENT ON FUNCTION @extschema@.release_user(pg_catalog.text, pg_catalog.uuid, pg_catalog.text) IS
  'take what a user has here (redemptions, holds, claimed codes), with the rights that it uses, out of this shard, for another one to accept; once for each transfer_id';

CREATE FUNCTION @extschema@.accept_user(payload pg_catalog.jsonb)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  own_name CONSTANT text := (SELECT s.name FROM @extschema@.coupon_shard AS s);
  given record;
  made @extschema@.coupon_user_transfer;
  one record;
  other text;
BEGIN
  SELECT * INTO given FROM jsonb_to_record($1) AS p (transfer_id uuid, user_id text, "from" text, "to" text, campaigns jsonb, coupons jsonb,
    held int8[], rights jsonb, redemptions jsonb);
  IF $1 IS NULL THEN
    RAISE EXCEPTION 'payload must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF given.transfer_id IS NULL OR given.user_id IS NULL OR given."from" IS NULL OR given."to" IS NULL THEN
    RAISE EXCEPTION 'this is nothing that release_user() has answered' USING ERRCODE = 'invalid_parameter_value';
  ELSIF own_name IS NULL THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  ELSIF given."to" <> own_name OR given."from" = own_name THEN
    RAISE EXCEPTION 'this user moves from shard "%" to shard "%"', given."from", given."to" USING ERRCODE = 'invalid_parameter_value',
      DETAIL = format('This is shard "%s".', own_name);
  ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    RAISE EXCEPTION 'users move in READ COMMITTED transactions only' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  -- As in release_user(): the user, who comes back, is still refused here until then.
  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1 WHERE g.number = hashtext(given.user_id) & 255;
  INSERT INTO @extschema@.coupon_user_transfer AS t (transfer_id, direction, user_id, transfer_no, peer, settled_at)
  SELECT given.transfer_id, 'i', given.user_id, coalesce(max(o.transfer_no), 0) + 1, given."from", clock_timestamp()
  FROM @extschema@.coupon_user_transfer AS o WHERE o.user_id = given.user_id
  ON CONFLICT (transfer_id) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO STRICT made FROM @extschema@.coupon_user_transfer AS t WHERE t.transfer_id = given.transfer_id;
    IF made.direction <> 'i' OR made.user_id <> given.user_id OR made.peer <> given."from" THEN
      RAISE EXCEPTION 'transfer id % has been used for another transfer', given.transfer_id USING ERRCODE = 'RC013',
        HINT = 'Use a new transfer id for a new transfer.';
    END IF;
    RETURN false;
  END IF;

  -- What is not here yet comes without rights.
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.campaign', given.campaigns, true);
  SELECT p.name INTO other
  FROM jsonb_to_recordset(given.campaigns) AS g (id int8, name text) LEFT JOIN @extschema@.campaign AS p ON p.id = g.id
  WHERE p.name_key IS DISTINCT FROM @extschema@.coupon_key(g.name) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'campaign "%" is another one on this shard', other USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.coupon', given.coupons, true);
  SELECT c.code INTO other
  FROM jsonb_to_recordset(given.coupons) AS g (id int8, code text) LEFT JOIN @extschema@.coupon AS c ON c.id = g.id
  WHERE c.code_key IS DISTINCT FROM @extschema@.coupon_key(g.code) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'coupon "%" is another one on this shard', other USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  FOR one IN
    SELECT r.owner_id, max(r.units) FILTER (WHERE r.kind IN ('C', 'c')) AS units, max(r.units) FILTER (WHERE r.kind IN ('B', 'b')) AS amount,
           bool_or(r.kind IN ('C', 'B')) AS of_campaign
    FROM jsonb_to_recordset(given.rights) AS r (kind text, owner_id int8, units int8)
    GROUP BY r.owner_id, r.kind IN ('C', 'B') ORDER BY of_campaign DESC, r.owner_id
  LOOP
    -- A row whose limit is not that of the other shard, or that has all rights here, is not changed.
    IF one.of_campaign THEN
      UPDATE @extschema@.campaign AS p SET rights = p.rights + coalesce(one.units, 0), budget_rights = p.budget_rights + coalesce(one.amount, 0)
      WHERE p.id = one.owner_id AND (one.units IS NULL OR (p.max_redemptions IS NOT NULL AND p.rights IS NOT NULL))
        AND (one.amount IS NULL OR (p.budget IS NOT NULL AND p.budget_rights IS NOT NULL));
    ELSE
      UPDATE @extschema@.coupon AS c SET rights = c.rights + coalesce(one.units, 0), budget_rights = c.budget_rights + coalesce(one.amount, 0)
      WHERE c.id = one.owner_id AND (one.units IS NULL OR (c.max_redemptions IS NOT NULL AND c.rights IS NOT NULL))
        AND (one.amount IS NULL OR (c.budget IS NOT NULL AND c.budget_rights IS NOT NULL));
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'limits of % % are not divided over the shards "%" and "%"', CASE WHEN one.of_campaign THEN 'campaign' ELSE 'coupon' END,
        one.owner_id, given."from", own_name USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = 'Here there is no such limit, or all rights of it.', HINT = 'Give the row the same limits on both, and rights here.';
    END IF;
  END LOOP;
  UPDATE @extschema@.coupon AS c SET holder = given.user_id
  WHERE c.id = ANY (given.held) AND c.holder IS DISTINCT FROM given.user_id;
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.coupon_redemption', given.redemptions, false);
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.accept_user(pg_catalog.jsonb) IS
  'put what another shard has released of a user, with the rights that it uses, into this shard; false: that has been done before; once for each transfer';

CREATE FUNCTION @extschema@.settle_user(transfer_id pg_catalog.uuid)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF $1 IS NULL THEN
    RAISE EXCEPTION 'transfer_id must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  UPDATE @extschema@.coupon_user_transfer AS t SET settled_at = clock_timestamp()
  WHERE t.transfer_id = $1 AND t.direction = 'o' AND t.settled_at IS NULL;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.settle_user(pg_catalog.uuid) IS
  'note that a user who has left has arrived; false: that was known, or there is no such transfer from here';

-- ---- owners, privileges ----

DO $owners$
DECLARE
  owner CONSTANT text := (SELECT extowner::regrole FROM pg_extension WHERE extname = 'coupon_guard');
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['TABLE @extschema@.coupon_shard', 'TABLE @extschema@.coupon_transfer',
    'TABLE @extschema@.coupon_user_transfer', 'TABLE @extschema@.coupon_user_gate', 'TABLE @extschema@.coupon_look', 'VIEW @extschema@.coupon_guard_rights'] LOOP
    EXECUTE format('ALTER %s OWNER TO %s', name, owner);
  END LOOP;
  FOREACH name IN ARRAY ARRAY[
    '@extschema@.accept_user(pg_catalog.jsonb)',
    '@extschema@.accept_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char")',
    '@extschema@.coupon_guard_begin_moves()',
    '@extschema@.coupon_guard_close_partition(pg_catalog.int4, pg_catalog.int4, pg_catalog.bool)',
    '@extschema@.coupon_guard_end_moves()',
    '@extschema@.coupon_guard_insert_texts(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.bool)',
    '@extschema@.coupon_guard_refuse_moved()',
    '@extschema@.coupon_guard_row_texts(pg_catalog.regclass)',
    '@extschema@.coupon_guard_set_shard(pg_catalog.text, pg_catalog.int4)',
    '@extschema@.coupon_guard_units(pg_catalog.text, pg_catalog."char")',
    '@extschema@.release_units(pg_catalog.text, pg_catalog.int8, pg_catalog.uuid, pg_catalog.text, pg_catalog."char")',
    '@extschema@.release_user(pg_catalog.text, pg_catalog.uuid, pg_catalog.text)',
    '@extschema@.settle_transfer(pg_catalog.uuid)',
    '@extschema@.settle_user(pg_catalog.uuid)',
    '@extschema@.coupon_shard_begin_look(pg_catalog."char", pg_catalog.text)',
    '@extschema@.coupon_shard_campaign_row(pg_catalog.text)',
    '@extschema@.coupon_shard_delete(pg_catalog.text, pg_catalog.text)',
    '@extschema@.coupon_shard_digests(pg_catalog.bool, pg_catalog.int8[])',
    '@extschema@.coupon_shard_divided(pg_catalog.int8[])',
    '@extschema@.coupon_shard_end_look(pg_catalog."char", pg_catalog.text, pg_catalog.int8, pg_catalog.bool)',
    '@extschema@.coupon_shard_known_codes(pg_catalog.text[])',
    '@extschema@.coupon_shard_limits(pg_catalog.text, pg_catalog.text)',
    '@extschema@.coupon_shard_new_rights(pg_catalog.bool, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8, pg_catalog.int8)',
    '@extschema@.coupon_shard_put_campaign(pg_catalog.jsonb, pg_catalog.bool)',
    '@extschema@.coupon_shard_put_coupon(pg_catalog.jsonb, pg_catalog.bool)',
    '@extschema@.coupon_shard_redemption_of(pg_catalog.text, pg_catalog.int8)',
    '@extschema@.coupon_shard_release_code(pg_catalog.text, pg_catalog.uuid, pg_catalog.text)',
    '@extschema@.coupon_shard_row(pg_catalog.text)',
    '@extschema@.coupon_shard_strangers(pg_catalog.int4[], pg_catalog.int4, pg_catalog.bool)',
    '@extschema@.coupon_shard_units(pg_catalog.text, pg_catalog."char")',
    '@extschema@.coupon_shard_unsettled(pg_catalog."char", pg_catalog.text)',
    '@extschema@.coupon_shard_unsettled_users()',
    '@extschema@.coupon_shard_use(pg_catalog.text, pg_catalog."char")'
  ] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO %s', name, owner);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
  END LOOP;
END
$owners$;
