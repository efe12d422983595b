-- UPDATE ... WHERE id = the user's, or else (SELECT ... FOR UPDATE)
--
-- The first free code is the same for all, who wait for each other's transactions. Each code is given once; but two requests of one user at
-- once both find that the user has none.

-- [tables]
CREATE TABLE coupon (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  campaign text NOT NULL,
  code text NOT NULL UNIQUE,
  holder bigint
);

-- [rules]
CREATE INDEX ON coupon (campaign, id) WHERE holder IS NULL;
CREATE INDEX ON coupon (campaign, holder);

-- [coupon]
INSERT INTO coupon (campaign, code) SELECT :code, :code || '-' || n FROM generate_series(1, :cap::int) AS n;

-- [redeem]
BEGIN;
UPDATE coupon SET holder = :user WHERE id = coalesce(
  (SELECT id FROM coupon WHERE campaign = :code AND holder = :user LIMIT 1),
  (SELECT id FROM coupon WHERE campaign = :code AND holder IS NULL ORDER BY id LIMIT 1 FOR UPDATE))
RETURNING id AS redemption_id;
COMMIT;

-- [ledger]
SELECT id AS redemption_id, holder AS user_id FROM coupon WHERE campaign = :code AND holder IS NOT NULL;
