// An order and its coupon in one transaction, with Prisma: node order.js USER CODE REQUEST
import { PrismaPg } from "@prisma/adapter-pg";
import { Prisma, PrismaClient } from "@prisma/client";

interface Answer {
  status: string;
  redemption_id: bigint | null;
  terms: Prisma.InputJsonValue | null;
}

async function placeOrder(tx: Prisma.TransactionClient, userId: bigint, code: string, requestId: string): Promise<string> {
  await tx.$executeRaw`SET LOCAL lock_timeout = '1s'`;
  const [order] = await tx.order.createManyAndReturn({ data: [{ userId, requestId }], skipDuplicates: true });
  if (order === undefined) { // an earlier attempt has been committed, redemption and all
    const earlier = await tx.order.findUniqueOrThrow({ where: { userId_requestId: { userId, requestId } } });
    return earlier.couponStatus!;
  }

  const [answer] = await tx.$queryRaw<Answer[]>`
    SELECT status, redemption_id, terms FROM promo.redeem_coupon(${userId}::bigint, ${code}, ${requestId})`;
  const { status, redemption_id, terms } = answer!;
  await tx.order.update({
    where: { id: order.id },
    data: status === "redeemed" // a refusal is a value: the order goes on without the discount
      ? { couponStatus: status, redemptionId: redemption_id, discount: terms ?? Prisma.DbNull }
      : { couponStatus: status },
  });
  return status;
}

/** What the driver knows of the error: inside Prisma's, or (of COMMIT) bare. */
const causeOf = (error: any) => error?.meta?.driverAdapterError?.cause ?? error?.cause;

/** PostgreSQL's own code, if the error came from there. */
const sqlstateOf = (error: any): string => causeOf(error)?.originalCode ?? "";

/** A conflict; or the connection is lost, which may also be a plain Error of node-postgres, without any code. */
const mayTryAgain = (error: any): boolean =>
  error?.code === "P2034" || error?.constructor === Error
  || ["TransactionWriteConflict", "ConnectionClosed", "DatabaseNotReachable", "SocketTimeout"].includes(causeOf(error)?.kind)
  || /^(40001|40P01|57P0.|08...)$/.test(sqlstateOf(error));

async function checkout(prisma: PrismaClient, userId: bigint, code: string, requestId: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await prisma.$transaction((tx) => placeOrder(tx, userId, code, requestId));
    } catch (error) {
      if (sqlstateOf(error) === "55P03") return "busy"; // an earlier click of this user is still in progress; this one has done nothing
      if (attempt === 4 || !mayTryAgain(error)) throw error; // if it could be tried again, the outcome is unknown
    }
    await new Promise((wake) => setTimeout(wake, Math.random() * 100 * 2 ** attempt));
  }
}

const [user, code, requestId] = process.argv.slice(2);
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 10 }) });
console.log(await checkout(prisma, BigInt(user!), code!, requestId!));
await prisma.$disconnect();
