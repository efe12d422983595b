-- The limit: the extension's own ledger, same columns and indexes, without triggers.
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.ledger (LIKE guard.coupon_redemption INCLUDING ALL);
