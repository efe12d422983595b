import { Router } from "express";

import { redeemCoupon } from "../controllers/orders.controller.js";

export const ordersRoutes = (service) => Router().post("/redeem-coupon", redeemCoupon(service));
