-- Triggers that a shop puts on the ledger fire for void, confirm and renew as for an UPDATE; none of them can part a row from its unit.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_redemptions) VALUES ('TEN', 10);
SELECT status FROM redeem_coupon('ann'::text, 'TEN');
SELECT status FROM hold_coupon('bob'::text, 'TEN');

\set ECHO none
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % %: %', TG_WHEN, TG_LEVEL, TG_NAME,
    CASE TG_LEVEL WHEN 'ROW' THEN (SELECT string_agg(n.key, ', ' ORDER BY n.key) FROM jsonb_each(to_jsonb(NEW)) n
                                    JOIN jsonb_each(to_jsonb(OLD)) o ON o.key = n.key AND o.value <> n.value) END;
  RETURN NEW;
END $$;
\set ECHO all
CREATE TRIGGER a_statement BEFORE UPDATE ON coupon_redemption EXECUTE FUNCTION log_change();
CREATE TRIGGER b_row BEFORE UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER c_of_voided BEFORE UPDATE OF voided_at ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER d_of_deadline AFTER UPDATE OF hold_expires_at ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER e_of_metadata AFTER UPDATE OF metadata ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER f_of_user AFTER UPDATE OF user_id ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION log_change();
CREATE TRIGGER g_when AFTER UPDATE ON coupon_redemption FOR EACH ROW WHEN (NEW.voided_at IS NOT NULL) EXECUTE FUNCTION log_change();
CREATE TRIGGER h_statement AFTER UPDATE OF voided_at ON coupon_redemption EXECUTE FUNCTION log_change();
\set ECHO none
CREATE FUNCTION log_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % %: %', TG_WHEN, TG_LEVEL, TG_NAME,
    (SELECT string_agg(format('%s, live %s -> %s', n.user_id, o.voided_at IS NULL, n.voided_at IS NULL), '; ')
       FROM new_rows n JOIN old_rows o USING (id));
  RETURN NULL;
END $$;
\set ECHO all
CREATE TRIGGER i_transition AFTER UPDATE ON coupon_redemption REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  EXECUTE FUNCTION log_transition();

\echo void
SELECT void_redemption(1, 'returned');
SELECT void_redemption(1, 'returned');
\echo confirm
SELECT status FROM confirm_hold(2);
SELECT status FROM confirm_hold(2);
\echo hold, confirmed by redeem_coupon with metadata
SELECT status FROM hold_coupon('carl'::text, 'TEN');
SELECT status FROM redeem_coupon('carl'::text, 'TEN', 'r-1', '{"order": 1}');
\echo renew
SELECT status FROM hold_coupon('dora'::text, 'TEN');
ALTER TABLE coupon_redemption DISABLE TRIGGER USER;
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = 'dora';
ALTER TABLE coupon_redemption ENABLE TRIGGER USER;
SELECT status FROM hold_coupon('dora'::text, 'TEN');
\echo take over
UPDATE coupon SET max_redemptions = 3;
ALTER TABLE coupon_redemption DISABLE TRIGGER USER;
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = 'dora';
ALTER TABLE coupon_redemption ENABLE TRIGGER USER;
SELECT status FROM redeem_coupon('emil'::text, 'TEN');
SELECT user_id, void_reason FROM coupon_redemption WHERE voided_at IS NOT NULL ORDER BY id;
SELECT * FROM coupon_guard_verify();

DROP TRIGGER a_statement ON coupon_redemption;
DROP TRIGGER b_row ON coupon_redemption;
DROP TRIGGER c_of_voided ON coupon_redemption;
DROP TRIGGER d_of_deadline ON coupon_redemption;
DROP TRIGGER e_of_metadata ON coupon_redemption;
DROP TRIGGER f_of_user ON coupon_redemption;
DROP TRIGGER g_when ON coupon_redemption;
DROP TRIGGER h_statement ON coupon_redemption;
-- No other trigger need be there.
SELECT void_redemption(2);
DROP TRIGGER i_transition ON coupon_redemption;
SELECT status FROM redeem_coupon('bob'::text, 'TEN');

-- What a BEFORE trigger may do: fill in what is the caller's own, or refuse. What it must not do is to undo the change behind our back:
-- the unit would come back and the redemption stay.
\set ECHO none
CREATE FUNCTION before_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE NEW.void_reason
    WHEN 'noted' THEN NEW.metadata := '{"seen": true}';
    WHEN 'suppressed' THEN RETURN NULL;
    WHEN 'undone' THEN RETURN OLD;
    WHEN 'revived' THEN NEW.voided_at := NULL;
    WHEN 'postponed' THEN NEW.voided_at := '2101-01-01';
    WHEN 'another reason' THEN NEW.void_reason := 'because';
    WHEN 'refused' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0042';
    ELSE
  END CASE;
  RETURN NEW;
END $$;
\set ECHO all
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER before_change BEFORE UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION before_change();
\set SHOW_CONTEXT never
SELECT id AS emil FROM coupon_redemption WHERE user_id = 'emil' \gset
SELECT void_redemption(:emil, 'suppressed');
\echo :LAST_ERROR_SQLSTATE
SELECT void_redemption(:emil, 'undone');
\echo :LAST_ERROR_SQLSTATE
SELECT void_redemption(:emil, 'revived');
SELECT void_redemption(:emil, 'postponed');
SELECT void_redemption(:emil, 'another reason');
SELECT void_redemption(:emil, 'refused');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM coupon_guard_verify();
SELECT redeemed, remaining_units FROM coupon_usage;
SELECT void_redemption(:emil, 'noted');
SELECT metadata FROM coupon_redemption WHERE id = :emil;
-- After one that changes the row, another that suppresses it
CREATE TRIGGER suppress BEFORE UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT id AS carl FROM coupon_redemption WHERE user_id = 'carl' \gset
SELECT void_redemption(:carl, 'noted');
SELECT status FROM hold_coupon('fay'::text, 'TEN');
SELECT id AS fay FROM coupon_redemption WHERE user_id = 'fay' \gset
SELECT status FROM confirm_hold(:fay);
SELECT status FROM redeem_coupon('fay'::text, 'TEN');
SELECT * FROM coupon_guard_verify();
DROP TRIGGER suppress ON coupon_redemption;
DROP TRIGGER before_change ON coupon_redemption;

-- A trigger that voids: the guard called from within itself
CREATE FUNCTION void_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'again: %', void_redemption(NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER void_again AFTER UPDATE OF voided_at ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION void_again();
SELECT void_redemption(:carl);
SELECT * FROM coupon_guard_verify();
SELECT redeemed, held, remaining_units FROM coupon_usage;

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP FUNCTION log_change, log_transition, before_change, suppress, void_again;
