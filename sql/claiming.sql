-- claim_coupon: a code of a campaign for a user, always the same one; release_claim gives it back.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
INSERT INTO campaign (id, name, terms) VALUES (1, 'Summer 26', '{"off": 5}'), (2, 'Personal', NULL), (3, 'Empty', NULL);
INSERT INTO coupon (id, campaign_id, code, max_redemptions) VALUES (1, 1, 'SUN-1', 1), (2, 1, 'SUN-2', 1);

-- The campaign in any spelling; asked again, the same code; the last code; none left
SELECT status, code ~ '^SUN-[12]$' AS code, coupon_id IS NOT NULL AS coupon_id, terms, replayed FROM claim_coupon(1, 'Summer 26');
SELECT status, terms, replayed FROM claim_coupon(1, '  sUMMER 26 ');
SELECT status, replayed FROM claim_coupon(2, 'summer 26');
SELECT * FROM claim_coupon(3, 'summer 26');
SELECT * FROM claim_coupon(3, 'empty');
SELECT * FROM claim_coupon(3, 'winter 26');
SELECT * FROM claim_coupon(3, repeat('x', 2000));
SELECT count(DISTINCT code), string_agg(holder, ',' ORDER BY holder) FROM coupon;
-- It is the user's, nobody else's.
SELECT r.user_id, (redeem_coupon(r.user_id, c.code)).status FROM coupon AS c, (VALUES (2), (1)) AS r (user_id) WHERE c.holder = '1';
SELECT status, replayed FROM claim_coupon(1, 'summer 26');

-- Given back, it is the next one's; what is redeemed or held stays.
SELECT status, terms, replayed FROM release_claim(2, 'SUMMER 26');
SELECT status, code, coupon_id FROM release_claim(2, 'SUMMER 26');
SELECT status, code FROM release_claim(2, 'winter 26');
SELECT status FROM claim_coupon(3, 'summer 26');
SELECT answer.status, answer.code = c.code AS code FROM release_claim(1, 'summer 26') AS answer, coupon AS c WHERE c.holder = '1';
SELECT void_redemption(max(id)) FROM coupon_redemption;
SELECT status FROM hold_coupon(1, (SELECT code FROM coupon WHERE holder = '1'), '1 hour');
SELECT status FROM release_claim(1, 'summer 26');
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE voided_at IS NULL;
SELECT status FROM release_claim(1, 'summer 26');
SELECT status FROM claim_coupon(4, 'summer 26');
SELECT * FROM coupon_guard_verify();

-- The campaign's state is the answer; who has a code is told it all the same.
UPDATE campaign SET active = false WHERE id = 1;
SELECT user_id, status FROM generate_series(3, 5) AS user_id, claim_coupon(user_id, 'summer 26');
UPDATE campaign SET active = true, starts_at = now() + '1 hour' WHERE id = 1;
SELECT user_id, status FROM generate_series(3, 5) AS user_id, claim_coupon(user_id, 'summer 26');
UPDATE campaign SET starts_at = NULL, expires_at = now() WHERE id = 1;
SELECT user_id, status FROM generate_series(3, 5) AS user_id, claim_coupon(user_id, 'summer 26');
UPDATE campaign SET expires_at = NULL WHERE id = 1;

-- What is not handed out: one that is not active, has expired, that somebody has redeemed or holds, who has typed it. One that has not
-- started is. Its own terms come first.
INSERT INTO coupon (id, campaign_id, code, max_redemptions, active, starts_at, expires_at, terms) VALUES
  (10, 1, 'OFF', 1, false, NULL, NULL, NULL), (11, 1, 'OVER', 1, true, NULL, now(), NULL), (12, 1, 'TYPED', 1, true, NULL, NULL, NULL),
  (13, 1, 'HELD', 5, true, NULL, NULL, NULL), (14, 1, 'SOON', NULL, true, now() + '1 hour', NULL, '{"off": 9}');
SELECT redeem.status, hold.status FROM redeem_coupon(77, 'TYPED') AS redeem, hold_coupon(77, 'HELD') AS hold;
SELECT user_id, status, code, terms FROM generate_series(6, 7) AS user_id, claim_coupon(user_id, 'summer 26');
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '77' AND coupon_id = 13;
SELECT user_id, status, code, terms FROM generate_series(7, 8) AS user_id, claim_coupon(user_id, 'summer 26');
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '77' AND coupon_id = 12;
UPDATE coupon SET active = true WHERE code = 'OFF';
SELECT count(DISTINCT code) FROM generate_series(8, 9) AS user_id, claim_coupon(user_id, 'summer 26');
SELECT status, replayed, code IN ('OFF', 'TYPED') AS code FROM claim_coupon(9, 'summer 26');

-- A code that plain SQL gave the user is the user's; one that it takes back is free.
INSERT INTO coupon (id, campaign_id, code, holder, max_redemptions) VALUES (20, 2, 'ANNS', 'ann', 1), (21, 2, 'ANY', NULL, 1);
SELECT status, code, replayed FROM claim_coupon('ann'::text, 'personal');
UPDATE coupon SET holder = NULL WHERE code = 'ANNS';
SELECT count(DISTINCT code), bool_or(replayed) FROM (VALUES ('bob'), ('carl')) AS u (name), claim_coupon(u.name, 'personal');
UPDATE coupon SET holder = 'bob' WHERE holder = 'carl';
-- A code that moves to another campaign is one of that.
UPDATE coupon SET campaign_id = 3 WHERE holder = 'carl';
SELECT status, replayed FROM claim_coupon('carl'::text, 'empty');
SELECT status, replayed FROM claim_coupon('carl'::text, 'personal');

-- For many users in one statement, in savepoints, and again
INSERT INTO coupon (id, campaign_id, code, max_redemptions) SELECT 1000 + i, 3, 'E' || i, 1 FROM generate_series(1, 1000) AS i;
SELECT status, replayed, count(*), count(DISTINCT code) FROM generate_series(1, 999) AS user_id, claim_coupon(user_id, 'empty') GROUP BY 1, 2;
BEGIN;
SAVEPOINT s;
SELECT status FROM claim_coupon(1000, 'empty');
SELECT status FROM claim_coupon(1001, 'empty');
ROLLBACK TO s;
SELECT status, replayed FROM claim_coupon(1001, 'empty');
SELECT status, replayed FROM claim_coupon(1000, 'empty');
SELECT status FROM release_claim(1001, 'empty');
SELECT status, replayed FROM claim_coupon(1000, 'empty');
COMMIT;
SELECT status, replayed, count(*) FROM generate_series(1, 1001) AS user_id, claim_coupon(user_id, 'empty') GROUP BY 1, 2 ORDER BY 1, 2;
WITH released AS (SELECT status FROM release_claim(7, 'empty')) SELECT released.status, claimed.status FROM released, LATERAL claim_coupon(1001, 'empty') AS claimed;
SELECT * FROM coupon_guard_verify();

-- Every type of user id, of one spelling
SELECT status FROM release_claim('10', 'empty');
SELECT status FROM claim_coupon('A0EEBC999C0B4EF8BB6D6BB9BD380A11'::uuid, 'empty');
SELECT status, replayed FROM claim_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::text, 'empty');
SELECT replayed FROM claim_coupon(8::bigint, 'empty');
SELECT replayed FROM claim_coupon('8'::text, 'empty');
SELECT replayed FROM claim_coupon('8', 'empty');

-- Misuse
SELECT * FROM claim_coupon('08', 'empty');
SELECT * FROM claim_coupon(NULL::bigint, 'empty');
SELECT * FROM claim_coupon(8, NULL);
SELECT * FROM release_claim(NULL::bigint, 'empty');
SELECT * FROM release_claim(8, NULL);
BEGIN READ ONLY;
SELECT * FROM claim_coupon(8, 'empty');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM release_claim(8, 'empty');
ROLLBACK;

-- The shop's own triggers see a claim as the UPDATE that it is, and may refuse it; they do not decide who gets the code.
\set ECHO none
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE NEW.holder WHEN '2001' THEN NEW.holder := '7';
  WHEN '2002' THEN RETURN NULL;
  WHEN '2003' THEN RAISE EXCEPTION 'no codes for %', NEW.holder;
  ELSE RAISE NOTICE '% -> %', OLD.holder, NEW.holder;
  END CASE;
  RETURN NEW;
END $$;
\set ECHO all
CREATE TRIGGER meddle BEFORE UPDATE OF holder ON coupon FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT status FROM generate_series(8, 9) AS user_id, release_claim(user_id, 'empty');
SELECT * FROM claim_coupon(2001, 'empty');
SELECT * FROM claim_coupon(2002, 'empty');
SELECT * FROM claim_coupon(2003, 'empty');
SELECT status FROM claim_coupon(2004, 'empty');
SELECT holder FROM coupon WHERE holder LIKE '200_';
-- With the guard's own triggers off
ALTER TABLE coupon DISABLE TRIGGER coupon_follow_change;
SELECT status FROM release_claim(2004, 'empty');
SELECT status FROM claim_coupon(2005, 'empty');
SELECT * FROM coupon_guard_verify();
ALTER TABLE coupon ENABLE ALWAYS TRIGGER coupon_follow_change;
DROP TRIGGER meddle ON coupon;
-- What claims rest on is missed when it is gone.
\set VERBOSITY default
DROP INDEX coupon_campaign_free;
SELECT status FROM claim_coupon(2006, 'empty');
CREATE INDEX ON coupon (campaign_id, id) WHERE holder IS NULL AND campaign_id IS NOT NULL;
SELECT status FROM claim_coupon(2006, 'empty');
DROP INDEX coupon_campaign_holder_unique;
SELECT status FROM claim_coupon(2007, 'empty');
CREATE UNIQUE INDEX ON coupon (campaign_id, holder) WHERE campaign_id IS NOT NULL;
DROP FUNCTION meddle;
TRUNCATE coupon_redemption, coupon, campaign;
DROP EXTENSION coupon_guard;
