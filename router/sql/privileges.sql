-- Nobody may call anything until he is granted it, and to redeem it takes EXECUTE on what is called, nothing else: no other function here,
-- no right on the foreign server, no user mapping (start.sql).
DO $privileges$
DECLARE
  function regprocedure;
BEGIN
  FOR function IN
    SELECT d.objid::regprocedure FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
      AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'coupon_guard_router')
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
  END LOOP;
END
$privileges$;
