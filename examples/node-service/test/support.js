// What the tests share: a database made anew, the service in this process, and an owner's look at what happens.
//
// The tests drop tables: they are given a database of their own, by DATABASE_URL (the service's role) and OWNER_URL (a superuser).

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

import { createApp } from "../src/app.js";
import { settings } from "../src/settings.js";

if (!process.env.DATABASE_URL || !process.env.OWNER_URL) {
  throw new Error("set DATABASE_URL and OWNER_URL to a database for tests (scripts/tutorial --check does)");
}

export const owner = new pg.Pool({ connectionString: process.env.OWNER_URL, application_name: "test" });

/** Runs files of sql/. */
export const run = async (...files) => {
  for (const file of files) await owner.query(await readFile(new URL(`../sql/${file}`, import.meta.url), "utf8"));
};

/** Everything as at the beginning, promo's coupon unused. */
export const makeTables = async () => {
  await Promise.all([...openTransactions].map((left) => left.end())); // by a test that has failed
  await run("tables.sql", "coupon_guard.sql");
  await owner.query("TRUNCATE promo.coupon_redemption");
};

/** No test waits for a time to pass, so none of the service's limits may be reached on a slow machine unless a test is about it. */
export const patient = { port: 0, pause: 0, lockTimeout: 0, maxWait: 600_000, transactionTimeout: 600_000 };

/** The service, listening; post() sends it one request, close() ends it. */
export const startService = async (special = {}) => {
  const { app, close } = createApp({ ...settings(), ...patient, ...special });
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, "127.0.0.1", () => resolve(listening));
  });
  const url = `http://127.0.0.1:${server.address().port}/api/v1/orders/redeem-coupon`;

  const post = async (body, { version = "redeem_coupon", requestId } = {}) => {
    const response = await fetch(`${url}?version=${version}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(requestId && { "Idempotency-Key": requestId }) },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { http: response.status, retryAfter: response.headers.get("Retry-After"), ...(await response.json()) };
  };

  return {
    post,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await close();
    },
  };
};

/** Waits for a condition, however long that takes. */
export const until = async (holds) => {
  while (!(await holds())) await sleep(20);
};

/** How many of the service's connections wait for a lock. */
export const waiting = async () => {
  const { rows } = await owner.query(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'node-service'
     AND datname = current_database() AND wait_event_type IN ('Lock', 'Extension')`,
  );
  return rows[0].n;
};

/** The server ends these, as it does when it is stopped. */
export const endBackends = () =>
  owner.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'node-service'
     AND datname = current_database() AND wait_event_type IN ('Lock', 'Extension')`,
  );

const openTransactions = new Set();

/** A transaction of the owner's that stays open until end() is called. */
export const openTransaction = async (...statements) => {
  const connection = await owner.connect();
  await connection.query("BEGIN");
  for (const statement of statements) await connection.query(statement);
  const transaction = {
    end: async (how = "ROLLBACK") => {
      openTransactions.delete(transaction);
      await connection.query(how);
      connection.release();
    },
  };
  openTransactions.add(transaction);
  return transaction;
};

export const count = async (table) => (await owner.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0].n;
