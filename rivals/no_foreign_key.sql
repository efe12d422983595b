-- As in textbook.sql, without the foreign key: its check locks the coupon's row once more.
DROP SCHEMA IF EXISTS no_foreign_key CASCADE;
CREATE SCHEMA no_foreign_key;
CREATE TABLE no_foreign_key.coupon (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  max_redemptions bigint NOT NULL,
  used bigint NOT NULL DEFAULT 0
);
CREATE TABLE no_foreign_key.redemption (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  coupon_id bigint NOT NULL,
  user_id text NOT NULL,
  redeemed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (coupon_id, user_id)
);
INSERT INTO no_foreign_key.coupon (code, max_redemptions) VALUES ('CAPPED', 1000000000);
