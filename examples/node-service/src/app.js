import express from "express";

import { connect } from "./database.js";
import { ordersRoutes } from "./routes/orders.routes.js";
import { answerError } from "./controllers/errors.js";
import { OrdersService } from "./services/orders.service.js";

/** The service, not yet listening, and what closes its pool. */
export const createApp = (settings) => {
  const prisma = connect(settings);
  const app = express();
  app.use(express.json({ limit: "10kb" }));
  app.use("/api/v1/orders", ordersRoutes(new OrdersService(prisma, settings)));
  app.use(answerError);
  return { app, close: () => prisma.$disconnect() };
};
