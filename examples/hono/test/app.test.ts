/**
 * `npm test` runs the suite on plain Node. `BASE_URL=http://127.0.0.1:8080 npm test` runs it against whatever
 * serves the app there: `cyto up`, for one.
 */
import { after, before } from "node:test";
import { serveOnNode } from "./node-http.ts";
import { suite } from "./suite.ts";

const { BASE_URL: elsewhere } = process.env;
if (elsewhere) {
  suite(elsewhere, () => elsewhere);
} else {
  let server: Awaited<ReturnType<typeof serveOnNode>>;
  before(async () => {
    const { default: app } = await import("../app.ts");
    server = await serveOnNode(app);
  });
  after(() => server.close());
  suite("node:http", () => server.address);
}
