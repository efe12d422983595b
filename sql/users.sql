-- Who a user is: bigint, uuid and text callers, and parameters whose type the driver does not say.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('ONCE');

SELECT status FROM redeem_coupon(42, 'ONCE');
SELECT status FROM redeem_coupon(42::smallint, 'ONCE');
SELECT status FROM redeem_coupon(42::bigint, 'ONCE');
SELECT status FROM redeem_coupon('42'::text, 'ONCE');
SELECT status FROM redeem_coupon('42'::varchar, 'ONCE');
SELECT status FROM redeem_coupon(9223372036854775807, 'ONCE');
SELECT status FROM redeem_coupon((-9223372036854775808)::bigint, 'ONCE');
SELECT status FROM redeem_coupon(0, 'ONCE');

-- A uuid is one user however it is written; as text it is what redeem_coupon(uuid) stores.
SELECT status FROM redeem_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ONCE');
SELECT status FROM redeem_coupon('{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}'::uuid, 'ONCE');
SELECT status FROM redeem_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::text, 'ONCE');
-- Text is compared byte by byte. One user has one spelling: sql/user_ids.sql.
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon('Ann'::text, 'ONCE');
SELECT status FROM redeem_coupon(' ann'::text, 'ONCE');
SELECT status FROM redeem_coupon(repeat('u', 255), 'ONCE');
SELECT status FROM redeem_coupon(repeat('u', 255), 'ONCE');
SELECT left(user_id, 40) AS user_id, length(user_id) FROM coupon_redemption ORDER BY id;

-- A user id and a code whose types are unknown resolve, as a literal or as a parameter: to text, for every id is one.
SELECT status FROM redeem_coupon('carl', 'ONCE');
PREPARE redeem AS SELECT status::text FROM redeem_coupon($1, $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'redeem';
EXECUTE redeem('42', 'ONCE');
EXECUTE redeem('dora', 'ONCE');
PREPARE redeem_strict AS SELECT status FROM redeem_coupon_strict($1, $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'redeem_strict';
EXECUTE redeem_strict('emil', 'ONCE');
-- A prepared call goes on after the extension was dropped and made again.
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
EXECUTE redeem('dora', 'ONCE');
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('ONCE');
EXECUTE redeem('dora', 'ONCE');
EXECUTE redeem('dora', 'ONCE');

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
