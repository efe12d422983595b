-- What is done to rights and transfers by hand, by triggers, in odd transactions: units move right, or it is an error; none is made, none is lost.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
SELECT coupon_guard_set_shard('one', 1);
INSERT INTO coupon (code, max_redemptions, rights) VALUES ('CAP', 100, 10);
CREATE VIEW state AS SELECT rights, used, remaining, (SELECT count(*) FROM coupon_transfer) AS transfers FROM coupon_guard_rights WHERE name = 'CAP';

-- A trigger moves units of a coupon that is being changed, before that change has been followed.
CREATE FUNCTION part() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'released: %', release_units(NEW.code, TG_ARGV[0]::int, gen_random_uuid(), 'two'); RETURN NEW; END $$;
CREATE TRIGGER a_part AFTER UPDATE ON coupon FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION part(8);
UPDATE coupon SET rights = 5 WHERE code = 'CAP';
SELECT * FROM state;
UPDATE coupon SET rights = 20 WHERE code = 'CAP';
SELECT * FROM state;
UPDATE coupon SET rights = NULL WHERE code = 'CAP';
SELECT * FROM state;
DROP TRIGGER a_part ON coupon;
CREATE TRIGGER a_part BEFORE UPDATE ON coupon FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION part(1);
UPDATE coupon SET rights = 20 WHERE code = 'CAP';
DROP TRIGGER a_part ON coupon;
SELECT * FROM coupon_guard_verify();
-- A trigger redeems what is about to leave.
CREATE FUNCTION redeem_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'redeemed: %', (SELECT count(*) FROM generate_series(1, 5) AS i, redeem_coupon(TG_TABLE_NAME || ' ' || i, 'CAP') AS r WHERE r.status = 'redeemed');
  RETURN NULL;
END $$;
UPDATE coupon SET rights = 6 WHERE code = 'CAP';
CREATE TRIGGER redeem_all AFTER INSERT ON coupon_transfer FOR EACH ROW EXECUTE FUNCTION redeem_all();
SELECT release_units('CAP', 3, t(10), 'two');
SELECT release_units('CAP', 1, t(10), 'two');
DROP TRIGGER redeem_all ON coupon_transfer;
CREATE TRIGGER redeem_all AFTER UPDATE ON coupon FOR EACH ROW EXECUTE FUNCTION redeem_all();
SELECT release_units('CAP', 1, t(11), 'two');
DROP TRIGGER redeem_all ON coupon;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

UPDATE coupon SET rights = rights + 3 WHERE code = 'CAP';
-- The row of a transfer is what keeps it from being made twice.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE TG_ARGV[0]
    WHEN 'suppress' THEN RETURN NULL;
    WHEN 'change' THEN NEW.units := NEW.units + 1;
    WHEN 'change later' THEN UPDATE coupon_transfer SET units = units + 1;
    WHEN 'delete' THEN DELETE FROM coupon_transfer;
  END CASE;
  RETURN NEW;
END $$;
\set ECHO none
CREATE FUNCTION pg_temp.meddled(timing text, meddling text, in_table text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE format('CREATE TRIGGER meddle %s ON %s FOR EACH ROW EXECUTE FUNCTION meddle(%L)', timing, in_table, meddling);
  EXECUTE call INTO answer;
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION
  WHEN SQLSTATE 'UNDO0' THEN RETURN answer;
  WHEN OTHERS THEN RETURN sqlstate;
END $$;
\set ECHO all
SELECT timing, meddling, in_table, pg_temp.meddled(timing, meddling, in_table, $$SELECT release_units('CAP', 1, t(20), 'two')$$) AS release,
       pg_temp.meddled(timing, meddling, in_table, $$SELECT accept_units('CAP', 1, t(20), 'two')$$) AS accept, pg_temp.meddled(timing, meddling, in_table, $$SELECT settle_transfer(transfer_id) FROM coupon_transfer WHERE settled_at IS NULL$$) AS settle
  FROM (VALUES ('BEFORE INSERT OR UPDATE', 'suppress', 'coupon_transfer'), ('BEFORE INSERT', 'change', 'coupon_transfer'), ('AFTER INSERT', 'change later', 'coupon_transfer'),
    ('AFTER INSERT', 'delete', 'coupon_transfer'), ('AFTER UPDATE', 'delete', 'coupon'), ('BEFORE UPDATE', 'suppress', 'coupon')) AS m (timing, meddling, in_table);
-- What a shop adds to the table is there for every row; row security does not hide what has been done.
ALTER TABLE coupon_transfer ADD note text NOT NULL DEFAULT 'kept', ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT accept_units('CAP', 1, t(21), 'two'), accept_units('CAP', 1, t(21), 'two');
SELECT note FROM coupon_transfer WHERE transfer_id = t(21);
ALTER TABLE coupon_transfer ALTER note DROP DEFAULT;
SELECT accept_units('CAP', 1, t(22), 'two');
ALTER TABLE coupon_transfer DROP note, DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
-- NULL where none was meant to be is an error.
\set VERBOSITY sqlstate
BEGIN;
ALTER TABLE coupon_transfer ALTER units DROP NOT NULL;
UPDATE coupon_transfer SET units = NULL WHERE transfer_id = t(21);
SELECT accept_units('CAP', 1, t(21), 'two');
ROLLBACK;
BEGIN;
ALTER TABLE coupon_transfer ALTER peer DROP NOT NULL;
UPDATE coupon_transfer SET peer = NULL WHERE transfer_id = t(21);
SELECT accept_units('CAP', 1, t(21), 'two');
ROLLBACK;
BEGIN;
ALTER TABLE coupon_transfer ALTER transfer_no DROP NOT NULL;
UPDATE coupon_transfer SET transfer_no = NULL WHERE transfer_id = t(21);
SELECT transfers FROM coupon_guard_units('CAP');
ROLLBACK;
BEGIN;
ALTER TABLE coupon DROP CONSTRAINT coupon_rights_not_negative;
UPDATE coupon SET rights = -1 WHERE code = 'CAP';
SELECT redeem_coupon(1, 'CAP');
ROLLBACK;
\set VERBOSITY terse

-- Under replica, where a quota is ended instead of changed; read only; under the other levels of isolation
SELECT * FROM state;
SET session_replication_role = replica;
SELECT release_units('CAP', 1, t(30), 'two');
SELECT accept_units('CAP', 4, t(31), 'two');
RESET session_replication_role;
SELECT * FROM state;
SELECT remaining, is_dry FROM coupon_guard_units('CAP');
BEGIN READ ONLY;
SELECT remaining, is_dry FROM coupon_guard_units('CAP');
SELECT release_units('CAP', 1, t(32), 'two');
ROLLBACK;
BEGIN READ ONLY;
SELECT accept_units('CAP', 1, t(32), 'two');
ROLLBACK;
BEGIN READ ONLY;
SELECT settle_transfer(t(30));
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT release_units('CAP', 1, t(33), 'two'), accept_units('CAP', 2, t(34), 'two'), settle_transfer(t(33));
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT release_units('CAP', 1, t(35), 'two'), accept_units('CAP', 2, t(36), 'two'), settle_transfer(t(35));
COMMIT;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();
-- In a parallel worker they refuse, whatever is said of them.
ALTER FUNCTION release_units PARALLEL SAFE;
ALTER FUNCTION coupon_guard_units PARALLEL SAFE;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT release_units('CAP', 1, '00000000-0000-0000-0000-000000000037', 'two');
SELECT coupon_guard_units('CAP') IS NULL;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- Large numbers: all of a bigint leaves, comes, and leaves again.
INSERT INTO coupon (code, budget, budget_rights) VALUES ('BIG', 9223372036854775807, 9223372036854775807);
SELECT release_units('BIG', 9223372036854775807, t(40), 'two', 'b'), accept_units('BIG', 9223372036854775807, t(41), 'two', 'b');
SELECT accept_units('BIG', 1, t(42), 'two', 'b');
SELECT release_units('BIG', 9223372036854775807, t(43), 'two', 'b');
SELECT granted, remaining, is_dry, under_way FROM coupon_guard_units('BIG', 'b');
SELECT rights, remaining, under_way FROM coupon_guard_rights WHERE name = 'BIG';

-- EXECUTE alone is enough to move units; only who owns the tables says which shard this is.
CREATE ROLE regress_coupon_router;
GRANT EXECUTE ON FUNCTION release_units, accept_units, settle_transfer, coupon_guard_units, coupon_guard_set_shard TO regress_coupon_router;
SET ROLE regress_coupon_router;
SELECT release_units('CAP', 1, t(50), 'two'), accept_units('CAP', 1, t(51), 'two'), settle_transfer(t(50));
SELECT remaining FROM coupon_guard_units('CAP');
SELECT coupon_guard_set_shard('two', 2);
SELECT * FROM coupon_transfer;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION release_units, accept_units, settle_transfer, coupon_guard_units, coupon_guard_set_shard FROM regress_coupon_router;
DROP ROLE regress_coupon_router;

-- A shard that is given another number, and its old one again, gives no id twice; whatever its sequences are called.
TRUNCATE coupon_transfer;
ALTER SEQUENCE coupon_id_seq RENAME TO other;
SELECT coupon_guard_set_shard('two', 2);
INSERT INTO coupon (code) VALUES ('TWO') RETURNING id >> 40 AS shard, id & (1::bigint << 40) - 1 AS id;
SELECT coupon_guard_set_shard('three', 3), coupon_guard_set_shard('two', 2);
INSERT INTO coupon (code) VALUES ('TWO AGAIN') RETURNING id >> 40 AS shard, id & (1::bigint << 40) - 1 AS id;
ALTER SEQUENCE other RENAME TO coupon_id_seq;

DROP VIEW state;
TRUNCATE coupon_redemption, coupon, campaign, coupon_transfer, coupon_shard;
DROP EXTENSION coupon_guard;
DROP FUNCTION t, part, redeem_all, meddle;
