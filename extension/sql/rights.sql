-- Rights: what of a limit this shard may give, and how units move between shards.

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
