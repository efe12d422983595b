import { createApp } from "./app.js";
import { settings } from "./settings.js";

const chosen = settings();
const { app, close } = createApp(chosen);

// The loopback only: this is an example, and asks nobody who they are.
const server = app.listen(chosen.port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(close);
    server.closeIdleConnections();
  });
}
