-- look for a free code, then make it the user's, under READ COMMITTED
--
-- All who look before the first has committed see the same code free, and the last of them to write has it; all were told of it.

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
SELECT id FROM coupon
WHERE campaign = :code AND (holder IS NULL OR holder = :user) ORDER BY holder, id LIMIT 1 \gset
UPDATE coupon SET holder = :user WHERE id = :id RETURNING id AS redemption_id;
COMMIT;

-- [ledger]
SELECT id AS redemption_id, holder AS user_id FROM coupon WHERE campaign = :code AND holder IS NOT NULL;
