import { naive } from "./redeem/naive.js";
import { redeemCoupon } from "./redeem/redeem-coupon.js";
import { serializable } from "./redeem/serializable.js";
import { unique } from "./redeem/unique.js";
import { Refusal } from "./refusal.js";

// A Map: `versions["constructor"]` of an object would be something.
const versions = new Map([
  ["naive", naive],
  ["serializable", serializable],
  ["unique", unique],
  ["redeem_coupon", redeemCoupon],
]);

export class OrdersService {
  constructor(prisma, settings) {
    this.prisma = prisma;
    this.settings = settings;
  }

  /** One of the four versions, side by side in redeem/. Throws a Refusal, or what Prisma throws (prisma-errors.js). */
  async redeemCoupon({ version = this.settings.version, ...request }) {
    const redeem = versions.get(version);
    if (!redeem) throw new Refusal("invalid_request", `version must be one of ${[...versions.keys()].join(", ")}`);
    return redeem(this.prisma, request, this.settings);
  }
}
