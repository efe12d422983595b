/** No for a business reason: `status` is one of the README's words, or invalid_request. */
export class Refusal extends Error {
  constructor(status, message = status) {
    super(message);
    this.status = status;
  }
}
