// node main.js USER CODE REQUEST
import pg from "pg";
import { checkout } from "./order.js";

const [user, code, requestId] = process.argv.slice(2);
const pool = new pg.Pool({ max: 10 });
pool.on("error", () => {}); // a connection that is lost in the pool would end the process, too
console.log(await checkout(pool, BigInt(user!), code!, requestId!));
await pool.end();
