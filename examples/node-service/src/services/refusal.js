/** No for a business reason: `status` is one of coupon_guard's statuses, or invalid_request. */
export class Refusal extends Error {
  constructor(status, message = status) {
    super(message);
    this.status = status;
  }
}
