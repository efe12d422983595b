import { Refusal } from "../services/refusal.js";
import { isConflict, isLostConnection, isOutOfTime, sqlstateOf } from "../services/prisma-errors.js";

const httpStatus = { invalid_request: 400, not_found: 404 }; // any other refusal: 409, the state of things is against it

/** What went wrong, as HTTP: the client's fault, a refusal, busy (ask again), or ours. */
export const answerError = (error, request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof Refusal) {
    return response.status(httpStatus[error.status] ?? 409).json({ status: error.status, message: error.message });
  }
  // What PostgreSQL calls an invalid parameter value: here, an Idempotency-Key that is empty or too long.
  if (sqlstateOf(error) === "22023" || error.status === 400) { // the latter: a body that is no JSON
    return response.status(400).json({ status: "invalid_request", message: "the request cannot be read" });
  }
  // 55P03: a rival has the lock, perhaps another click of the same customer. Nothing is done, and the connection is free
  // again. The others pass as well. What an HTTP client makes of it: curl --retry, for one, waits for Retry-After.
  if (sqlstateOf(error) === "55P03" || isConflict(error) || isOutOfTime(error) || isLostConnection(error)) {
    return response.status(503).set("Retry-After", "1").json({ status: "busy", message: "please try again" });
  }
  console.error(error);
  return response.status(500).json({ status: "error", message: "something is wrong here" });
};
