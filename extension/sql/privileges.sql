-- Who owns what, and who may call what.

-- A trusted extension is created by the bootstrap superuser on behalf of the database's owner. Tables,
-- views and the functions that are called are handed to that owner, who can then manage coupons and
-- grant EXECUTE; before any right is revoked, for pg_dump compares with the rights as they are
-- recorded then, and they name the owner. What the C code takes on trust is not: types, and the
-- functions that triggers and the generated column call; coupon_guard_refuse_moved(), which is SQL
-- and SECURITY DEFINER, is.
--
-- The functions read and write without looking at table privileges: the right to EXECUTE is the
-- right to redeem, so nobody has it at first.
DO $privileges$
DECLARE
  member record;
BEGIN
  FOR member IN
    SELECT CASE WHEN c.relkind = 'r' THEN format('TABLE %s', d.objid::regclass)
                WHEN c.relkind = 'v' THEN format('VIEW %s', d.objid::regclass)
                ELSE format('FUNCTION %s', d.objid::regprocedure) END AS name,
           p.oid IS NULL AS is_table, coalesce(p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype), false) AS is_trigger,
           coalesce(p.proname, '') AS function
    FROM pg_depend AS d
    LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'coupon_guard')
      AND (p.oid IS NOT NULL OR c.relkind IN ('r', 'v'))
    ORDER BY d.classid, d.objid
  LOOP
    IF (NOT member.is_trigger OR member.function = 'coupon_guard_refuse_moved') AND member.function NOT IN ('coupon_key', 'coupon_code_fits') THEN
      EXECUTE format('ALTER %s OWNER TO %s', member.name, $owner$@extowner@$owner$);
    END IF;
    IF NOT member.is_table
       AND member.function NOT IN ('coupon_key', 'coupon_code_fits', 'coupon_guard_version', 'coupon_guard_generation', 'coupon_guard_user_id_fault') THEN
      EXECUTE format('REVOKE EXECUTE ON %s FROM PUBLIC', member.name);
    END IF;
    IF member.is_trigger THEN -- so that a trigger which was dropped can be made again
      EXECUTE format('GRANT EXECUTE ON %s TO %s', member.name, $owner$@extowner@$owner$);
    END IF;
  END LOOP;
END
$privileges$;

-- As the server's own statistics. The view runs its function by the reader's right.
GRANT SELECT ON @extschema@.coupon_guard_stats TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION @extschema@.coupon_guard_read_stats() TO pg_read_all_stats;
