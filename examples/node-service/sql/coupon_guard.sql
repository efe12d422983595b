-- The extension, in a schema of its own: there no tool that manages the shop's tables (Prisma, for one) takes the guard's
-- tables for its own, and the shop may have a table named coupon.

CREATE SCHEMA IF NOT EXISTS promo;
CREATE EXTENSION IF NOT EXISTS coupon_guard SCHEMA promo;

INSERT INTO promo.coupon (code, terms) VALUES ('SAVE10', '{"percent": 10}') ON CONFLICT DO NOTHING;

-- All that the service needs. For this type of user id only: so a call that forgets the cast fails (42501), and does not
-- redeem for a user who is called ' 1'.
GRANT USAGE ON SCHEMA promo TO shop;
GRANT EXECUTE ON FUNCTION promo.redeem_coupon(bigint, text, text, jsonb) TO shop;
