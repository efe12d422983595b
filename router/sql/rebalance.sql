-- Units go where they will be needed, ahead of need: so buyers need not wait for transfers.

-- What each shard should have of what is left: in proportion to what it has used since the last time, and a little even where that is nothing.
-- Units move only to shards that have less than half of it, and none if nothing has been used anywhere.
CREATE FUNCTION @extschema@.rebalance()
RETURNS TABLE (name pg_catalog.text, kind pg_catalog."char", from_shard pg_catalog.text, to_shard pg_catalog.text, units pg_catalog.int8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
  shards CONSTANT int4[] := ARRAY(SELECT n.shard FROM @extschema@.coupon_router_names() AS n WHERE n.answers ORDER BY n.shard);
  divided record;
  move record;
BEGIN
  PERFORM @extschema@.coupon_router_complete_all(n.shard, n.name, NULL, NULL) FROM @extschema@.coupon_router_names() AS n WHERE n.answers;
  PERFORM @extschema@.sync();
  FOR divided IN
    SELECT DISTINCT ON (d.kind, d.owner_id) d.kind, d.name
    FROM unnest(shards) AS s CROSS JOIN LATERAL @extschema@.shard_divided(s, NULL) AS d ORDER BY d.kind, d.owner_id, d.partition
  LOOP
    FOR move IN
      WITH part AS MATERIALIZED (
        SELECT u.partition, u.shard, u.remaining,
          floor(sum(u.remaining) OVER () * (coalesce(p.used, 0) + 1) / (coalesce(sum(p.used) OVER (), 0) + count(*) OVER ())) AS aim,
          sum(p.used) OVER () = 0 AND bool_and(p.used IS NOT NULL) OVER () AS is_idle
        FROM @extschema@.coupon_router_units(shards, divided.kind, divided.name) AS u
        JOIN @extschema@.shard_use(shards, divided.name, divided.kind) AS p ON p.partition = u.partition
        WHERE u.answers AND u.remaining IS NOT NULL
      ), giver AS (
        SELECT p.*, sum(p.remaining - p.aim) OVER (ORDER BY p.partition) AS until_here FROM part AS p WHERE p.remaining > p.aim AND NOT p.is_idle
      ), taker AS (
        SELECT p.*, sum(p.aim - p.remaining) OVER (ORDER BY p.partition) AS until_here FROM part AS p WHERE p.remaining * 2 < p.aim
      )
      -- The excesses end to end, and the wants end to end: what lies over what.
      SELECT g.partition AS giver, g.shard AS giver_name, t.partition AS taker, t.shard AS taker_name,
        (least(g.until_here, t.until_here)
         - greatest(g.until_here - (g.remaining - g.aim), t.until_here - (t.aim - t.remaining)))::int8 AS units
      FROM giver AS g JOIN taker AS t
        ON least(g.until_here, t.until_here) > greatest(g.until_here - (g.remaining - g.aim), t.until_here - (t.aim - t.remaining))
    LOOP
      RETURN QUERY
      SELECT divided.name, divided.kind, move.giver_name, move.taker_name, m.units
      FROM @extschema@.coupon_router_transfer(move.giver, move.giver_name, move.taker, move.taker_name, divided.kind, divided.name, move.units) AS m (units)
      WHERE m.units > 0;
    END LOOP;
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, NULL);
  RAISE;
END
$$;
COMMENT ON FUNCTION @extschema@.rebalance() IS
  'completes what is under way, gives shards what has changed, and moves units to shards that will need them; what it has moved';
