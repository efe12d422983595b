-- The extension in the form of its rivals (rivals/README.md): how it is set up, read and checked. Claimed is through the client library.

-- [tables]
CREATE EXTENSION coupon_guard;

-- [coupon]
INSERT INTO campaign (name) VALUES (:code);
INSERT INTO coupon (code, campaign_id) SELECT :code || '-' || n, (SELECT max(id) FROM campaign) FROM generate_series(1, :cap::int) AS n;

-- [ledger]
SELECT c.id AS redemption_id, c.holder::bigint AS user_id
FROM coupon c JOIN campaign p ON p.id = c.campaign_id
WHERE p.name = :code AND c.holder IS NOT NULL;

-- [broken]
SELECT count(*) FROM coupon_guard_verify();
