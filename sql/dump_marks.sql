-- pg_dump takes along what the shop has put in: its tables and sequences are marked, without a filter.
-- Only the quota is not: it is derived from caps and ledger when first needed.
CREATE EXTENSION coupon_guard;

WITH guard AS (SELECT oid, extconfig, extcondition FROM pg_extension WHERE extname = 'coupon_guard')
SELECT c.oid::regclass AS marked, g.extcondition[array_position(g.extconfig, c.oid)] AS condition
  FROM guard g JOIN pg_class c ON c.oid = ANY (g.extconfig)
 WHERE c.relname ~ '^coupon(_redemption)?(_id_seq)?$'
 ORDER BY c.relname COLLATE "C";

WITH guard AS (SELECT oid, extconfig FROM pg_extension WHERE extname = 'coupon_guard')
SELECT c.oid::regclass AS not_marked
  FROM guard g
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = g.oid AND d.classid = 'pg_class'::regclass
  JOIN pg_class c ON c.oid = d.objid
 WHERE c.relkind IN ('r', 'S') AND c.oid <> ALL (g.extconfig)
 ORDER BY c.relname COLLATE "C";

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
