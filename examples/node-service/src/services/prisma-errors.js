// What Prisma 7 with @prisma/adapter-pg really throws. Found by trial: test/prisma-errors.test.js makes each of them happen.
//
//   what happened                       what is thrown
//   ----------------------------------  -----------------------------------------------------------------------------------
//   unique constraint, model query      PrismaClientKnownRequestError P2002; the constraint's name is not in meta.target
//   40001 or 40P01, model query         PrismaClientKnownRequestError P2034, as the manual has it
//   40001 at COMMIT                     a bare DriverAdapterError: no code; cause.kind is "TransactionWriteConflict".
//                                       Two transactions that both look and then insert mostly find out at COMMIT, so a retry
//                                       that waits for P2034 alone misses them.
//   any error of a raw query            PrismaClientKnownRequestError P2010, whatever it was; the SQLSTATE is in
//                                       meta.driverAdapterError.cause.originalCode
//   no connection free within maxWait,  PrismaClientKnownRequestError P2028
//   transaction open beyond timeout
//   the server ends the connection      PrismaClientKnownRequestError P2039 (P2010, if the query was raw; a bare
//                                       DriverAdapterError at COMMIT), 57P01 inside
//   the connection is cut at COMMIT     a plain Error, "Connection terminated unexpectedly", without code or cause (examples/prisma
//                                       has it happen)

const causeOf = (error) => error?.meta?.driverAdapterError?.cause ?? error?.cause;

/** PostgreSQL's own code for it, where there is one. */
export const sqlstateOf = (error) => causeOf(error)?.originalCode;

/** 40001 or 40P01: nothing is done, and the same transaction may succeed when it is tried again, from its beginning. */
export const isConflict = (error) => error?.code === "P2034" || causeOf(error)?.kind === "TransactionWriteConflict";

export const isUniqueViolation = (error) => error?.code === "P2002";

/** Prisma's own clocks: maxWait, or the transaction's timeout. The transaction is rolled back. */
export const isOutOfTime = (error) => error?.code === "P2028";

const lostConnection = new Set(["ConnectionClosed", "DatabaseNotReachable", "SocketTimeout"]);

/** At COMMIT nobody can tell whether it happened. Whoever has sent a request id asks again, and hears. */
export const isLostConnection = (error) =>
  error?.constructor === Error || lostConnection.has(causeOf(error)?.kind) || /^(57P0|08)/.test(sqlstateOf(error) ?? "");
