-- A request id stands for one use: nobody is told "redeemed" for the use of another request, and a retry hears what has become of its own.
\a \t
CREATE EXTENSION coupon_guard;
\set VERBOSITY sqlstate
INSERT INTO coupon (id, code, max_redemptions, max_per_user) VALUES (1, 'ONCE', 10, 1), (2, 'TWICE', 10, 2), (3, 'ONE', 1, 1), (4, 'ANY', NULL, NULL), (5, 'LAST', 1, NULL);
CREATE VIEW pg_temp.ledger AS
SELECT user_id, coupon_id, use_no, replace(request_id, chr(31), '|') AS request_id, hold_expires_at IS NOT NULL AND voided_at IS NULL AS is_held, void_reason
  FROM coupon_redemption ORDER BY id;
CREATE PROCEDURE pg_temp.let_holds_expire() LANGUAGE sql AS $$ UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL $$;
CREATE PROCEDURE pg_temp.begin_anew() LANGUAGE sql AS $$ TRUNCATE coupon_redemption RESTART IDENTITY $$;

-- While A holds the user's one use, B has it already; A's own retry does not change that, nor does B's.
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONCE', request_id => 'order-A');
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONCE', request_id => 'order-B');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE', 'order-B');
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONCE', request_id => 'order-A');
SELECT code, status, redemption_id FROM redeem_coupons(1, '{ANY,ONCE}', 'order-B');
SELECT status FROM redeem_coupon_strict(1, 'ONCE', 'order-B');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE', 'order-A');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE', 'order-B');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE', 'order-A');
SELECT * FROM pg_temp.ledger;
-- Two uses: each its own, each confirmed once
CALL pg_temp.begin_anew();
SELECT status, use_no, redemption_id FROM hold_coupon(1, 'TWICE', request_id => 'order-A');
SELECT status, use_no, redemption_id FROM hold_coupon(1, 'TWICE', request_id => 'order-B');
SELECT status FROM hold_coupon(1, 'TWICE', request_id => 'order-C');
SELECT status, use_no, redemption_id FROM redeem_coupon(1, 'TWICE', 'order-B');
SELECT status, use_no, redemption_id FROM redeem_coupon(1, 'TWICE', 'order-A');
SELECT * FROM pg_temp.ledger;
-- As many as there are units, where a user has no limit
SELECT status, use_no FROM hold_coupon(2, 'LAST', request_id => 'order-A');
SELECT status, use_no FROM redeem_coupon(2, 'LAST', 'order-B');
SELECT status, use_no FROM redeem_coupon(2, 'LAST', 'order-A');
-- Who gives no request id means the hold that is there; a hold without one is anybody's.
CALL pg_temp.begin_anew();
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONCE', request_id => 'order-A');
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONCE');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONCE', 'order-A');
SELECT status, redemption_id, replayed FROM hold_coupon(2, 'ONCE');
SELECT status, redemption_id, replayed FROM redeem_coupon(2, 'ONCE', 'order-A');
SELECT status, redemption_id, replayed FROM redeem_coupon(2, 'ONCE', 'order-A');
SELECT status, redemption_id, replayed FROM hold_coupon(3, 'ONCE');
SELECT status, redemption_id FROM hold_coupon(3, 'ONCE', request_id => 'order-A');
SELECT status, redemption_id FROM hold_coupon(3, 'ONCE', request_id => 'order-B');
SELECT * FROM pg_temp.ledger;

-- An expired hold of another request stands in nobody's way: it is voided, and its unit taken for the new one. Its own request hears that it expired.
CALL pg_temp.begin_anew();
SELECT status, redemption_id FROM hold_coupon(1, 'ONE', request_id => 'order-A');
CALL pg_temp.let_holds_expire();
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONE', request_id => 'order-B');
CALL pg_temp.let_holds_expire();
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONE', 'order-C');
SELECT * FROM pg_temp.ledger;
SELECT status, replayed FROM redeem_coupon(1, 'ONE', 'order-A');
SELECT status, replayed FROM hold_coupon(1, 'ONE', request_id => 'order-B');
SELECT status FROM confirm_hold(1);
SELECT status, remaining_units FROM check_coupon(2, 'ONE');
-- ... of a user with several uses, only as many as are needed
SELECT status, use_no FROM hold_coupon(2, 'TWICE', request_id => 'order-A');
SELECT status, use_no FROM hold_coupon(2, 'TWICE', request_id => 'order-B');
CALL pg_temp.let_holds_expire();
SELECT status FROM redeem_coupon(2, 'TWICE', 'order-C');
SELECT count(*) FILTER (WHERE voided_at IS NULL) AS live, count(*) FILTER (WHERE void_reason = 'hold expired') AS expired FROM coupon_redemption WHERE user_id = '2';
SELECT * FROM coupon_guard_verify();

-- A redemption that was voided since is answered so, to its own request.
CALL pg_temp.begin_anew();
SELECT status, redemption_id FROM redeem_coupon(1, 'ONE', 'order-A');
SELECT void_redemption(1, 'returned');
SELECT status FROM redeem_coupon(2, 'ONE', 'order-A');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'ONE', 'order-A');
SELECT status, redemption_id, replayed FROM hold_coupon(1, 'ONE', request_id => 'order-A');
SELECT status FROM redeem_coupon_strict(1, 'ONE', 'order-A');
SELECT status, replayed FROM redeem_coupon(1, 'ONE', 'order-B');
SELECT status, replayed FROM redeem_coupon(1, 'ONE');
UPDATE coupon SET active = false WHERE code = 'ONE';
SELECT status, replayed FROM redeem_coupon(1, 'ONE', 'order-A');
UPDATE coupon SET active = true WHERE code = 'ONE';
-- A hold that was released before its deadline is voided, one that was released after it is expired.
SELECT h.redemption_id AS released, void_redemption(h.redemption_id) FROM hold_coupon(3, 'ONCE', request_id => 'order-A') h \gset
SELECT status FROM confirm_hold(:released);
SELECT status, replayed FROM redeem_coupon(3, 'ONCE', 'order-A');
SELECT redemption_id AS late FROM hold_coupon(4, 'ONCE', request_id => 'order-A') \gset
CALL pg_temp.let_holds_expire();
SELECT void_redemption(:late);
SELECT status FROM confirm_hold(:late);
SELECT status, replayed FROM redeem_coupon(4, 'ONCE', 'order-A');
SELECT status, replayed FROM hold_coupon(4, 'ONCE', request_id => 'order-A');
SELECT enumlabel FROM pg_enum WHERE enumtypid = 'coupon_status'::regtype ORDER BY enumsortorder DESC LIMIT 1;

-- A stack's retry is judged by coupon, not by place; its ids cannot be a caller's.
CALL pg_temp.begin_anew();
SELECT code, status, replayed FROM redeem_coupons(1, '{ONCE,TWICE,ANY}', 'x');
SELECT code, status, replayed FROM redeem_coupons(1, '{ANY,twice, once}', 'x');
SELECT code, status, replayed FROM redeem_coupons(1, '{TWICE}', 'x');
SELECT code, status, replayed FROM redeem_coupons(1, '{NOSUCH,TWICE,ONE}', 'x');
SELECT status, replayed FROM redeem_coupon(1, 'ANY', 'x');
SELECT status, replayed FROM redeem_coupon(1, 'ANY', 'x#1');
SELECT status, replayed FROM redeem_coupon(1, 'TWICE', E'x\x1f4');
SELECT code, status, replayed FROM redeem_coupons(1, '{ONCE,TWICE,ANY}', 'x#1');
SELECT * FROM pg_temp.ledger;
-- One code several times: so many uses, counted as they come
CALL pg_temp.begin_anew();
SELECT code, status, use_no, replayed FROM redeem_coupons(1, '{TWICE,ANY,twice}', 'y');
SELECT code, status, use_no, replayed FROM redeem_coupons(1, '{twice,TWICE,ANY}', 'y');
SELECT code, status, use_no, replayed FROM redeem_coupons(1, '{ANY,TWICE}', 'y');
SELECT code, status, use_no, replayed FROM redeem_coupons(1, '{ANY,ANY,ANY}', 'y');
SELECT code, status, replayed FROM redeem_coupons(1, '{TWICE,TWICE,TWICE}', 'y');
SELECT * FROM pg_temp.ledger;
-- One of them voided since
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 4 AND use_no = 1;
SELECT code, status, replayed FROM redeem_coupons(1, '{TWICE,ANY}', 'y');
SELECT code, status, replayed FROM redeem_coupons(1, '{ANY}', 'y');
-- A stack and a hold: its own, another request's, nobody's
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONCE', request_id => 'z');
SELECT code, status FROM redeem_coupons(1, '{ONCE,ANY}', 'z');
SELECT status FROM hold_coupon(2, 'ONCE');
SELECT code, status FROM redeem_coupons(2, '{ONCE,ANY}', 'z');
SELECT code, status, replayed FROM redeem_coupons(2, '{ANY,ONCE}', 'z');
SELECT * FROM coupon_guard_verify();

-- Control characters are no part of a request id; what is beyond ASCII may be.
CREATE FUNCTION pg_temp.sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN '00000';
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate;
END $$;
SELECT call, string_agg(DISTINCT pg_temp.sqlstate_of(format(call, 'a' || chr(c) || 'b')), ', ') AS within, string_agg(DISTINCT pg_temp.sqlstate_of(format(call, chr(c))), ', ') AS alone
  FROM unnest(ARRAY['SELECT redeem_coupon(9, ''ANY'', %L)', 'SELECT redeem_coupon_strict(9, ''ANY'', %L)', 'SELECT hold_coupon(9, ''ANY'', request_id => %L)',
         'SELECT redeem_coupons(9, ''{ANY}'', %L)']) AS call,
       (SELECT generate_series(1, 31) UNION ALL SELECT 127) AS control (c)
 GROUP BY call ORDER BY call;
SELECT status, replayed FROM redeem_coupon(9, 'ANY', 'Ärger – 注文 #1');
SELECT status, replayed FROM redeem_coupon(9, 'ANY', 'Ärger – 注文 #1');

-- So many codes and no more
INSERT INTO coupon (id, code) SELECT 1000 + i, 'C' || i FROM generate_series(1, 1001) i;
SELECT status, count(*) FROM redeem_coupons(1, (SELECT array_agg('C' || i) FROM generate_series(1, 1000) i), 'many') GROUP BY 1;
SELECT status, replayed, count(*) FROM redeem_coupons(1, (SELECT array_agg('C' || i ORDER BY md5(i::text)) FROM generate_series(1, 1000) i), 'many') GROUP BY 1, 2;
SELECT count(*) FROM redeem_coupons(2, (SELECT array_agg('C' || i) FROM generate_series(1, 1001) i));
SELECT count(*) FROM redeem_coupons('two'::text, (SELECT array_agg('NOSUCH'::text) FROM generate_series(1, 60000) i));
SELECT count(*) FROM coupon_redemption WHERE user_id IN ('2', 'two') AND coupon_id > 1000;

-- A hold ends at a moment that there is. (Intervals without end: PostgreSQL 17.)
SELECT ttl, CASE WHEN ttl LIKE '%infinity' AND current_setting('server_version_num')::int < 170000 THEN '22023'
              ELSE pg_temp.sqlstate_of(format('SELECT hold_coupon(10, ''ANY'', %L)', ttl)) END AS outcome
  FROM unnest('{infinity,-infinity,0,-1 second,1 microsecond,200000 years}'::text[]) AS ttl;
SELECT count(*) FROM coupon_redemption WHERE user_id = '10' AND isfinite(hold_expires_at);
SELECT * FROM coupon_guard_verify();

DROP VIEW pg_temp.ledger;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
