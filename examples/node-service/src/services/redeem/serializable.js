import { setTimeout as sleep } from "node:timers/promises";

import { isConflict } from "../prisma-errors.js";
import { lookThenInsert } from "./naive.js";

const attempts = 5;

/**
 * The same statements at SERIALIZABLE: PostgreSQL ends one of two transactions that could not have run one after the other.
 * That is right only with the retry, which then sees the other's redemption.
 *
 * The price: the retry does everything anew, the pause too. Strangers meet as well, for PostgreSQL watches what has been read
 * by pages of the index, or the whole table while it is small. And it protects only if everybody who writes here is
 * SERIALIZABLE.
 */
export const serializable = async (prisma, request, { pause }) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await prisma.$transaction((tx) => lookThenInsert(tx, request, pause), { isolationLevel: "Serializable" });
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error;
      await sleep(Math.random() * 20 * 2 ** attempt); // not in step with the one it has met
    }
  }
};
