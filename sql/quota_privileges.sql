-- The right to EXECUTE hold, confirm, void, check and stack is each a right of its own, and none of them a right to anything else.
\a \t
CREATE ROLE regress_coupon_clerk;
CREATE ROLE regress_coupon_nobody;
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_redemptions) VALUES ('FIVE', 5), ('ONE', 1);
-- GRANT or REVOKE for each form of a function
CREATE PROCEDURE pg_temp.for_each(name text, command text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT string_agg(format(command, oid::regprocedure), '; ') FROM pg_proc WHERE proname = name);
END $$;

-- What PUBLIC may execute
SELECT p.oid::regprocedure AS is_public FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard') AND has_function_privilege('regress_coupon_nobody', p.oid, 'EXECUTE') ORDER BY 1;
SET ROLE regress_coupon_nobody;
SELECT hold_coupon(1, 'FIVE');
SELECT hold_coupon('1'::text, 'FIVE');
SELECT hold_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'FIVE');
SELECT confirm_hold(1);
SELECT void_redemption(1);
SELECT redeem_coupons(1, '{FIVE}');
SELECT check_coupon(1, 'FIVE');
SELECT * FROM coupon_guard_verify();
SELECT * FROM coupon_usage;
SELECT * FROM coupon_quota;
SET coupon_guard.quota_stripes = 1;
-- Nor through the trigger functions, on a table of one's own
CREATE TEMP TABLE mine (id bigint, coupon_id bigint, max_redemptions bigint, voided_at timestamptz);
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_coupon();
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_ledger();
CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_quota();
RESET ROLE;
-- Whoever may: another table is refused all the same.
CREATE TEMP TABLE other (id bigint, coupon_id bigint, max_redemptions bigint, voided_at timestamptz);
CREATE TRIGGER other AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_ledger();
INSERT INTO other VALUES (1, 1, 1, NULL);
DROP TABLE other;
SELECT coupon_guard_follow_coupon();
SELECT coupon_guard_follow_ledger();

-- EXECUTE alone is enough.
CALL pg_temp.for_each('hold_coupon', 'GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT status FROM hold_coupon(1, 'FIVE');
SELECT status FROM hold_coupon(1, 'ONE');
SELECT confirm_hold(1);
SELECT status FROM redeem_coupon(1, 'FIVE');
RESET ROLE;
CALL pg_temp.for_each('confirm_hold', 'GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT status FROM confirm_hold(1);
SELECT void_redemption(1);
RESET ROLE;
CALL pg_temp.for_each('void_redemption', 'GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
CALL pg_temp.for_each('check_coupon', 'GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
CALL pg_temp.for_each('redeem_coupons', 'GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT void_redemption(1, 'returned');
SELECT status, remaining_units FROM check_coupon(1, 'FIVE');
SELECT code, status FROM redeem_coupons(1, '{FIVE,ONE}');
-- Nothing else
SELECT * FROM coupon;
SELECT * FROM coupon_redemption;
SELECT * FROM coupon_quota;
SELECT * FROM coupon_usage;
INSERT INTO coupon_quota VALUES (1, 'c', 77, 1000);
UPDATE coupon_quota SET remaining = 1000;
DELETE FROM coupon_quota;
UPDATE coupon SET max_redemptions = 1000;
UPDATE coupon_redemption SET voided_at = now();
RESET ROLE;
CALL pg_temp.for_each('void_redemption', 'REVOKE EXECUTE ON FUNCTION %s FROM regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT void_redemption(2);
RESET ROLE;

-- A back office that manages coupons and ledger by table privileges needs none on the quota.
GRANT SELECT, INSERT, UPDATE, DELETE ON coupon, coupon_redemption TO regress_coupon_clerk;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO regress_coupon_clerk;
SET ROLE regress_coupon_clerk;
INSERT INTO coupon (code, max_redemptions) VALUES ('CLERK', 3);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'ann', 1 FROM coupon WHERE code = 'CLERK';
UPDATE coupon SET max_redemptions = 2 WHERE code = 'CLERK';
DELETE FROM coupon_redemption WHERE user_id = 'ann';
UPDATE coupon SET max_redemptions = NULL WHERE code = 'CLERK';
UPDATE coupon SET max_redemptions = 4 WHERE code = 'CLERK';
DELETE FROM coupon WHERE code = 'CLERK';
SELECT * FROM coupon_quota;
RESET ROLE;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP TABLE mine;
REVOKE ALL ON SCHEMA public FROM regress_coupon_clerk;
DROP ROLE regress_coupon_clerk, regress_coupon_nobody;
