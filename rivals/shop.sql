-- The tables of a shop without the extension, and what is asked of them. What a rival's own file does not have is taken from here.

-- [tables]
CREATE TABLE coupon (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  max_redemptions bigint,
  used bigint NOT NULL DEFAULT 0
);
CREATE TABLE redemption (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  coupon_id bigint NOT NULL,
  user_id text NOT NULL,
  redeemed_at timestamptz NOT NULL DEFAULT now()
);

-- [coupon]
INSERT INTO coupon (code, max_redemptions) VALUES (:code, nullif(:cap::bigint, 0));

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id
FROM redemption r JOIN coupon c ON c.id = r.coupon_id WHERE c.code = :code;
