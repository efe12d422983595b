// What can be set, all by environment variables. Times are milliseconds.

const number = (name, otherwise) => {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number, and not below 0`);
  return value;
};

export const settings = () => ({
  databaseUrl: process.env.DATABASE_URL ?? "postgresql://shop@127.0.0.1:5432/nodeapi",
  port: number("PORT", 3000), // 0: one that is free
  version: process.env.VERSION ?? "redeem_coupon", // of the requests that name none
  pause: number("PAUSE", 300), // between look and insert, in the versions that look first
  poolSize: number("POOL_SIZE", 10),
  lockTimeout: number("LOCK_TIMEOUT", 1000), // how long redeem_coupon waits for a rival; 0: for ever
  // How long a transaction waits for a connection of the pool. Thirty clicks of one customer pass through a pool of ten in
  // three times lockTimeout, and others wait as long: Prisma's own 2000 would refuse them (P2028).
  maxWait: number("MAX_WAIT", 5000),
  transactionTimeout: number("TRANSACTION_TIMEOUT", 10000), // Prisma ends a transaction that is open for longer
});
