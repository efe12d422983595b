-- Triggers that a shop puts on the ledger fire as for an INSERT.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('ONCE'), ('OTHER');

\set ECHO none
CREATE FUNCTION log_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  rows_seen bigint := (SELECT count(*) FROM coupon_redemption);
  rows_new bigint;
BEGIN
  IF TG_LEVEL = 'STATEMENT' AND TG_WHEN = 'AFTER' THEN
    SELECT count(*) INTO rows_new FROM new_rows;
  END IF;
  RAISE NOTICE '% % % of %: user %, use %, new rows %, rows in the table %', TG_WHEN, TG_LEVEL, TG_OP, TG_TABLE_NAME,
    CASE TG_LEVEL WHEN 'ROW' THEN NEW.user_id END, CASE TG_LEVEL WHEN 'ROW' THEN NEW.use_no END, rows_new, rows_seen;
  RETURN NEW;
END $$;
\set ECHO all
CREATE TRIGGER a_statement BEFORE INSERT ON coupon_redemption EXECUTE FUNCTION log_trigger();
CREATE TRIGGER b_row BEFORE INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_trigger();
CREATE TRIGGER c_row AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_trigger();
CREATE TRIGGER d_statement AFTER INSERT ON coupon_redemption REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION log_trigger();
CREATE CONSTRAINT TRIGGER e_deferred AFTER INSERT ON coupon_redemption DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION log_trigger();
CREATE TRIGGER f_when BEFORE INSERT ON coupon_redemption FOR EACH ROW WHEN (NEW.user_id = 'nobody') EXECUTE FUNCTION log_trigger();
BEGIN;
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon('bob'::text, 'ONCE');
\echo commit
COMMIT;
-- A refusal fires none.
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon('ann'::text, 'NOSUCH');
ALTER TABLE coupon_redemption DISABLE TRIGGER USER;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
ALTER TABLE coupon_redemption ENABLE TRIGGER USER;
DROP TRIGGER a_statement ON coupon_redemption;
DROP TRIGGER b_row ON coupon_redemption;
DROP TRIGGER c_row ON coupon_redemption;
DROP TRIGGER d_statement ON coupon_redemption;
DROP TRIGGER e_deferred ON coupon_redemption;
DROP TRIGGER f_when ON coupon_redemption;
DROP FUNCTION log_trigger;
TRUNCATE coupon_redemption;

-- What a BEFORE trigger may do: fill in what is the caller's own.
\set ECHO none
CREATE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE NEW.user_id
    WHEN 'noted' THEN NEW.metadata := coalesce(NEW.metadata, '{}') || '{"seen": true}';
    WHEN 'suppressed' THEN RETURN NULL;
    WHEN 'refused' THEN RAISE EXCEPTION 'not this user' USING ERRCODE = 'P0042';
    WHEN 'user' THEN NEW.user_id := 'someone else';
    WHEN 'no user' THEN NEW.user_id := NULL;
    WHEN 'coupon' THEN NEW.coupon_id := NEW.coupon_id + 1;
    WHEN 'use' THEN NEW.use_no := 7;
    WHEN 'id' THEN NEW.id := 1000;
    WHEN 'time' THEN NEW.redeemed_at := '2001-01-01';
    WHEN 'same' THEN NEW.user_id := 'sa' || 'me';
    ELSE
  END CASE;
  RETURN NEW;
END $$;
\set ECHO all
CREATE TRIGGER before_row BEFORE INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION before_row();
SELECT status FROM redeem_coupon('noted', 'ONCE', metadata => '{"order": 17}');
SELECT status FROM redeem_coupon('same', 'ONCE');
-- What it may not: suppress the row, or change what the guard's promise is judged by.
SELECT status FROM redeem_coupon('suppressed', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('user', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('no user', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('coupon', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('use', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('id', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('time', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
-- To refuse a redemption, raise an error.
\set SHOW_CONTEXT never
SELECT status FROM redeem_coupon('refused', 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT user_id, use_no, metadata FROM coupon_redemption ORDER BY user_id COLLATE "C";
DROP TRIGGER before_row ON coupon_redemption;
DROP FUNCTION before_row;

-- An AFTER trigger that raises leaves nothing behind; with a savepoint the transaction goes on.
\set ECHO none
CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.user_id LIKE 'refused%' THEN
    RAISE EXCEPTION 'no, after all';
  END IF;
  IF (SELECT count(*) FROM coupon_redemption WHERE id = NEW.id AND user_id = NEW.user_id) <> 1 THEN
    RAISE EXCEPTION 'cannot see the row';
  END IF;
  RETURN NULL;
END $$;
\set ECHO all
CREATE TRIGGER after_row AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION after_row();
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON coupon_redemption DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.user_id = 'refused at commit') EXECUTE FUNCTION after_row();
BEGIN;
SAVEPOINT s;
SELECT status FROM redeem_coupon('refused', 'ONCE');
ROLLBACK TO s;
SELECT status FROM redeem_coupon('allowed', 'ONCE');
SELECT user_id FROM coupon_redemption WHERE user_id IN ('refused', 'allowed');
COMMIT;
ALTER TABLE coupon_redemption DISABLE TRIGGER after_row;
BEGIN;
SELECT status FROM redeem_coupon('refused at commit', 'ONCE');
COMMIT;
BEGIN;
SELECT status FROM redeem_coupon('refused at commit', 'ONCE');
SET CONSTRAINTS at_commit IMMEDIATE;
ROLLBACK;
SELECT count(*) FROM coupon_redemption WHERE user_id LIKE 'refused%';
DROP TRIGGER after_row ON coupon_redemption;
DROP TRIGGER at_commit ON coupon_redemption;
DROP FUNCTION after_row;

-- A trigger may itself redeem: another coupon afterwards; or, before, the very same: then that one was the user's one use.
\set ECHO none
CREATE FUNCTION redeem_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.user_id = 'both' AND TG_WHEN = 'AFTER' AND NEW.coupon_id = (SELECT id FROM coupon WHERE code = 'ONCE') THEN
    RAISE NOTICE 'OTHER: %', (SELECT status FROM redeem_coupon(NEW.user_id, 'OTHER'));
  ELSIF NEW.user_id = 'twice' AND TG_WHEN = 'BEFORE' AND pg_trigger_depth() = 1 THEN
    RAISE NOTICE 'ONCE: %', (SELECT status FROM redeem_coupon(NEW.user_id, 'ONCE'));
  END IF;
  RETURN NEW;
END $$;
\set ECHO all
CREATE TRIGGER after_row AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION redeem_more();
CREATE TRIGGER before_row BEFORE INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION redeem_more();
SELECT status FROM redeem_coupon('both', 'ONCE');
SELECT status FROM redeem_coupon('twice', 'ONCE');
SELECT c.code, l.user_id, l.use_no FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id
 WHERE l.user_id IN ('both', 'twice') ORDER BY 2, 1;

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP FUNCTION redeem_more;
