-- The schema of the textbooks: a counter in the coupon's row, and a ledger with a foreign key.
DROP SCHEMA IF EXISTS textbook CASCADE;
CREATE SCHEMA textbook;
CREATE TABLE textbook.coupon (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  max_redemptions bigint NOT NULL,
  used bigint NOT NULL DEFAULT 0
);
CREATE TABLE textbook.redemption (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  coupon_id bigint NOT NULL REFERENCES textbook.coupon,
  user_id text NOT NULL,
  redeemed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (coupon_id, user_id)
);
INSERT INTO textbook.coupon (code, max_redemptions) VALUES ('CAPPED', 1000000000);
