-- redeem_coupons with an amount for each code: whole amounts, all or none.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, budget, max_redemptions, max_per_user, terms) VALUES (1, 'G30', 3000, NULL, NULL, '{"card": 1}'), (2, 'G50', 5000, NULL, NULL, NULL),
  (3, 'PLAIN', NULL, NULL, 2, NULL), (4, 'CAPPED', 100, 2, NULL, NULL);
CREATE VIEW state AS SELECT code, redeemed, redeemed_amount, remaining_units, remaining_budget FROM coupon_usage ORDER BY coupon_id;

-- An order is paid with two gift cards and a code that takes an amount off; one without an amount goes along.
SELECT code, status, coupon_id, use_no, terms, replayed, amount, limited_by FROM redeem_coupons(1, '{G30,G50,PLAIN}', amounts => '{1000,4000,NULL}');
SELECT code, status, amount FROM redeem_coupons(1, '{PLAIN}', amounts => ARRAY[700]);
-- One has too little: none; what is left of it is told.
SELECT code, status, redemption_id, amount, limited_by FROM redeem_coupons(1, '{G30,G50}', amounts => '{2000,1001}');
SELECT code, status, redemption_id, amount FROM redeem_coupons(1, '{G50,CAPPED,G30,NOSUCH}', amounts => '{1,100,2000,7}');
SELECT * FROM state;
-- With up_to as much of each as there is; nothing is too little all the same.
SELECT code, status, amount FROM redeem_coupons(1, '{G50,G30}', amounts => '{5000,1500}', up_to => true);
SELECT code, status, amount FROM redeem_coupons(1, '{G50,G30}', amounts => '{5000,1500}', up_to => true);
SELECT * FROM state;

-- One card several times, in the order of the codes: what the earlier ones leave
SELECT code, status, amount FROM redeem_coupons(2, '{G30,g30}', amounts => '{300,201}');
SELECT code, status, amount, use_no FROM redeem_coupons(2, '{G30,g30}', amounts => '{300,200}');
UPDATE coupon SET budget = 4500 WHERE code = 'G30';
SELECT code, status, amount FROM redeem_coupons(2, '{G30,g30,G30}', amounts => '{600,600,600}', up_to => true);
SELECT code, status, amount FROM redeem_coupons(2, '{G30,g30}', amounts => '{600,600}', up_to => true);
SELECT code, status, amount FROM redeem_coupons(2, '{CAPPED,CAPPED}', amounts => '{60,60}', up_to => true);
SELECT code, status, amount FROM redeem_coupons(2, '{CAPPED,G50}', amounts => '{1,1}', up_to => NULL);
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- A retry gets what was redeemed then, whatever it asks for; and what it is given is the whole order.
UPDATE coupon SET budget = budget + 1000;
SELECT code, status, amount, replayed FROM redeem_coupons(3, '{G30,G50}', '{500,1000}'::bigint[], '{"order": 9}', 'order-9', true);
SELECT code, status, amount, replayed FROM redeem_coupons(3, '{G50,G30}', amounts => '{7,7}', request_id => 'order-9');
SELECT coupon_id, amount, replace(request_id, chr(31), '|') AS request_id, metadata FROM coupon_redemption WHERE user_id = '3' ORDER BY coupon_id;
-- A hold is confirmed with the rest, for its amount at the most.
SELECT status, amount FROM hold_coupon(4, 'G30', '1 hour', amount => 200);
SELECT code, status, amount FROM redeem_coupons(4, '{G30,G50}', amounts => '{150,999}');
\set VERBOSITY sqlstate
SELECT code, status, amount FROM redeem_coupons(4, '{G30,PLAIN}', amounts => '{201,1}');
\set VERBOSITY terse
SELECT code, status, amount FROM redeem_coupons(4, '{G30,PLAIN}', amounts => '{150,1}');
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- Untyped literals go on meaning what they meant: the third is the request id.
SELECT code, status, replayed FROM redeem_coupons('20', '{PLAIN}', 'r20', '{"a": 1}');
SELECT code, status, replayed FROM redeem_coupons(20, '{PLAIN}', '{20}');
SELECT code, status, replayed FROM redeem_coupons(21, '{PLAIN}', NULL, NULL);
SELECT user_id, replace(request_id, chr(31), '|') AS request_id, metadata FROM coupon_redemption WHERE user_id IN ('20', '21') ORDER BY id;
-- Without amounts: as without the argument.
SELECT code, status, amount FROM redeem_coupons(22, '{PLAIN}', amounts => NULL);
SELECT count(*) FROM redeem_coupons(22, '{}', amounts => '{}');
-- Every type of user id
SELECT code, status, amount FROM redeem_coupons('ann'::text, '{PLAIN}', ARRAY[5]);
SELECT code, status, amount FROM redeem_coupons('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{PLAIN}', '{5}'::int[]);

-- Misuse
\set VERBOSITY default
SELECT * FROM redeem_coupons(5, '{G30,G50}', amounts => '{1}');
SELECT * FROM redeem_coupons(5, '{G30}', amounts => '{1,1}');
SELECT * FROM redeem_coupons(5, '{G30,G50}', amounts => '{1,0}');
SELECT * FROM redeem_coupons(5, '{G30,G50}', amounts => '{-1,1}');
SELECT * FROM redeem_coupons(5, '{G30,G50}', amounts => '{1,NULL}');
SELECT * FROM redeem_coupons(5, '{G30,G50}');
SELECT * FROM redeem_coupons(5, NULL, amounts => '{1}');
SELECT * FROM redeem_coupons(5, '{G30,NULL}', amounts => '{1,1}');
SELECT * FROM redeem_coupons(5, '{G30}', amounts => '{9223372036854775808}');
SELECT * FROM redeem_coupons(5, ARRAY(SELECT 'G30' FROM generate_series(1, 1001)), amounts => '{1}');
SELECT code, status, amount FROM redeem_coupons(5, '{G30}', amounts => '{9223372036854775807}');
SELECT * FROM coupon_guard_verify();
DROP VIEW state;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
