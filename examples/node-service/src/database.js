import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";

/** The client and its pool. The pool is node-postgres's, and its size is set there: Prisma's own settings are not asked. */
export const connect = ({ databaseUrl, poolSize, maxWait, transactionTimeout }) =>
  new PrismaClient({
    adapter: new PrismaPg({ connectionString: databaseUrl, max: poolSize, application_name: "node-service" }),
    transactionOptions: { maxWait, timeout: transactionTimeout },
  });
