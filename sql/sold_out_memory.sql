-- A backend that has found a coupon sold out keeps it in mind, until a unit may have come free.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_redemptions) VALUES ('GONE', 2);
SELECT status FROM redeem_coupon(1, 'GONE'), redeem_coupon(2, 'GONE') second(second_status);

-- Whether the quota is looked at: the first time to prove it, then no more.
\set ECHO none
CREATE FUNCTION ask(buyer bigint, code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  looks_before CONSTANT bigint := pg_stat_get_xact_numscans('coupon_quota_pkey'::regclass);
  status CONSTANT text := r.status FROM redeem_coupon(buyer, code) r;
BEGIN
  RETURN status || CASE WHEN pg_stat_get_xact_numscans('coupon_quota_pkey'::regclass) > looks_before
                        THEN ', looked' ELSE ', known' END;
END $$;
\set ECHO all
SELECT ask(3, 'GONE');
SELECT ask(3, 'GONE');
SELECT ask(4, 'gone');
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT ask(3, 'GONE'); COMMIT;
-- Who has it already is still told so.
SELECT status FROM redeem_coupon(1, 'GONE');

-- A void ends that, even if it is rolled back.
BEGIN; SELECT void_redemption(1); ROLLBACK;
SELECT ask(3, 'GONE');
SELECT ask(3, 'GONE');
SELECT void_redemption(1, 'changed my mind');
SELECT status FROM redeem_coupon(3, 'GONE');
SELECT status FROM redeem_coupon(1, 'GONE');

-- So does a change of the cap ...
UPDATE coupon SET max_redemptions = 3;
SELECT status FROM redeem_coupon(4, 'GONE');
SELECT status FROM redeem_coupon(5, 'GONE');
UPDATE coupon SET max_redemptions = NULL;
SELECT status FROM redeem_coupon(5, 'GONE');
UPDATE coupon SET max_redemptions = 4;
SELECT status FROM redeem_coupon(6, 'GONE');
-- ... plain SQL on the ledger ...
DELETE FROM coupon_redemption WHERE user_id = '5';
SELECT status FROM redeem_coupon(6, 'GONE');
SELECT status FROM redeem_coupon(5, 'GONE');
UPDATE coupon_redemption SET voided_at = now() WHERE user_id = '6';
SELECT status FROM redeem_coupon(5, 'GONE');
SELECT status FROM redeem_coupon(6, 'GONE');
TRUNCATE coupon_redemption;
SELECT status FROM redeem_coupon(6, 'GONE');
-- ... and whoever writes to the quota, which nobody need do: removed, it is counted anew.
UPDATE coupon SET max_redemptions = 1;
SELECT status FROM redeem_coupon(5, 'GONE');
SET session_replication_role = replica;
DELETE FROM coupon_redemption;
RESET session_replication_role;
SELECT status FROM redeem_coupon(5, 'GONE');
DELETE FROM coupon_quota;
SELECT status FROM redeem_coupon(5, 'GONE');
SELECT status FROM redeem_coupon(6, 'GONE');

-- The deadline of a hold: what is known ends with it, though nobody announces it.
INSERT INTO coupon (code, max_redemptions) VALUES ('HELD', 1);
CREATE FUNCTION wait_for_deadline(hold bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WHILE (SELECT hold_expires_at >= clock_timestamp() FROM coupon_redemption WHERE id = hold) LOOP
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SELECT redemption_id AS hold FROM hold_coupon(1, 'HELD', '3 seconds') \gset
SELECT status FROM redeem_coupon(2, 'HELD');
SELECT wait_for_deadline(:hold);
SELECT status FROM redeem_coupon(2, 'HELD');
-- Plain SQL may move it.
UPDATE coupon_redemption SET hold_expires_at = '2999-01-01' WHERE user_id = '2' AND voided_at IS NULL;
SELECT status FROM redeem_coupon(3, 'HELD');
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '2' AND voided_at IS NULL;
SELECT status FROM redeem_coupon(3, 'HELD');

-- ... with its triggers off, too.
SELECT status FROM redeem_coupon(4, 'HELD');
ALTER TABLE coupon_redemption DISABLE TRIGGER ALL;
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '3' AND voided_at IS NULL;
ALTER TABLE coupon_redemption ENABLE TRIGGER ALL;
SELECT status FROM redeem_coupon(4, 'HELD');

-- A transaction that has written keeps nothing in mind: rolled back, it may bring units by itself.
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '4' AND voided_at IS NULL;
BEGIN;
SELECT status FROM redeem_coupon(2, 'HELD');
SELECT status FROM redeem_coupon(5, 'HELD');
ROLLBACK;
SELECT status FROM redeem_coupon(7, 'HELD');
UPDATE coupon_redemption SET hold_expires_at = clock_timestamp() + '3 seconds' WHERE user_id = '7' RETURNING id AS hold \gset
BEGIN;
SELECT status FROM confirm_hold(:hold);
SELECT status FROM redeem_coupon(6, 'HELD');
ROLLBACK;
SELECT wait_for_deadline(:hold);
SELECT status FROM redeem_coupon(6, 'HELD');

-- Many coupons: each is known for itself, whatever slot it shares.
INSERT INTO coupon (code, max_redemptions) SELECT 'MANY' || i, 1 FROM generate_series(1, 200) i;
SELECT r.status, count(*) FROM generate_series(1, 200) i, LATERAL redeem_coupon(1, 'MANY' || i) r GROUP BY 1;
SELECT r.status, count(*) FROM generate_series(1, 2) again, generate_series(1, 200) i, LATERAL redeem_coupon(2 + 0 * again, 'MANY' || i) r GROUP BY 1;
SELECT count(void_redemption(id)) FROM coupon_redemption WHERE coupon_id IN (SELECT id FROM coupon WHERE code LIKE 'MANY%5');
SELECT r.status, count(*) FROM generate_series(1, 200) i, LATERAL redeem_coupon(3, 'MANY' || i) r GROUP BY 1 ORDER BY 1;

SELECT * FROM coupon_guard_verify();
-- A coupon that takes another's place
DELETE FROM coupon_redemption WHERE coupon_id = (SELECT id FROM coupon WHERE code = 'GONE');
DELETE FROM coupon WHERE code = 'GONE';
INSERT INTO coupon (id, code, max_redemptions) VALUES (1, 'NEW', 1);
SELECT status FROM redeem_coupon(1, 'NEW');
SELECT status FROM redeem_coupon(2, 'NEW');
SELECT * FROM coupon_guard_verify();
DROP FUNCTION ask(bigint, text), wait_for_deadline(bigint);
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
