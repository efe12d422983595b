-- The tables of an order, for transactions that do more than redeem.
DROP SCHEMA IF EXISTS shop CASCADE;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL,
  total numeric(12, 2),
  placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shop.order_item (
  order_id bigint NOT NULL REFERENCES shop.orders,
  item_no int NOT NULL,
  article bigint NOT NULL,
  price numeric(12, 2) NOT NULL,
  PRIMARY KEY (order_id, item_no)
);
