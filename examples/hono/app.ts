/** An ordinary Hono app. Nothing in it knows where it runs; it keeps no state of its own. */
import { type Context, Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bodyLimit } from "hono/body-limit";
import { getCookie, setCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { logger } from "hono/logger";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { stream, streamSSE, streamText } from "hono/streaming";
import { validator } from "hono/validator";

const planets = [
  { name: "Mercury", moons: 0, radiusKm: 2440 },
  { name: "Venus", moons: 0, radiusKm: 6052 },
  { name: "Earth", moons: 1, radiusKm: 6371 },
  { name: "Mars", moons: 2, radiusKm: 3390 },
  { name: "Jupiter", moons: 97, radiusKm: 69911 },
  { name: "Saturn", moons: 274, radiusKm: 58232 },
  { name: "Uranus", moons: 29, radiusKm: 25362 },
  { name: "Neptune", moons: 16, radiusKm: 24622 },
];

const api = new Hono()
  .use(cors({ origin: "https://app.example", allowMethods: ["GET", "POST"], maxAge: 600 }))
  .use(etag())
  .use(prettyJSON())
  .get("/planets", (c) => {
    const moons = Number(c.req.query("moons") ?? 0);
    return c.json(planets.filter((planet) => planet.moons >= moons));
  })
  .get("/planets/:name", (c) => {
    const planet = planets.find(({ name }) => name.toLowerCase() === c.req.param("name").toLowerCase());
    if (!planet) throw new HTTPException(404, { message: `There is no planet ${c.req.param("name")}` });
    return c.json(planet);
  })
  .post(
    "/orbits",
    bodyLimit({ maxSize: 1024, onError: (c) => c.json({ error: "The body is too large" }, 413) }),
    validator("json", (value: { distanceAu?: unknown }, c) => {
      if (typeof value.distanceAu !== "number" || value.distanceAu <= 0)
        return c.json({ error: "distanceAu must be a positive number" }, 400);
      return { distanceAu: value.distanceAu };
    }),
    (c) => {
      const { distanceAu } = c.req.valid("json");
      return c.json({ distanceAu, years: Math.round(Math.sqrt(distanceAu ** 3) * 1000) / 1000 }, 201);
    },
  );

const app = new Hono();

app.use(logger());
app.use(requestId());
app.use(secureHeaders());

app.get("/", (c) =>
  c.html(html`<!doctype html><title>Planets</title><h1>${planets.length} planets & <em>counting</em></h1>`),
);
app.get("/hello/:name{[a-z]+}", (c) => c.text(`Hello, ${c.req.param("name")}!`));
app.get("/moved", (c) => c.redirect("/", 301));
app.all("/method", (c) => c.text(c.req.method));
app.route("/api", api);

app.post("/form", async (c) => {
  const form = await c.req.parseBody({ all: true });
  const fields = Object.entries(form).map(async ([name, value]) => [name, await describe(value)]);
  return c.json(Object.fromEntries(await Promise.all(fields)));
});

app.get("/visits", (c) => {
  const visits = Number(getCookie(c, "visits") ?? 0) + 1;
  setCookie(c, "visits", String(visits), { httpOnly: true, sameSite: "Lax", path: "/" });
  setCookie(c, "last", "today");
  return c.text(String(visits));
});

app.get("/count/:to", (c) =>
  streamText(c, async (out) => {
    for (let number = 1; number <= Number(c.req.param("to")); number += 1) {
      await out.writeln(String(number));
      await out.sleep(20);
    }
  }),
);

app.get("/events", (c) =>
  streamSSE(c, async (out) => {
    for (const [id, planet] of planets.entries())
      await out.writeSSE({ id: String(id), event: "planet", data: JSON.stringify(planet) });
  }),
);

/** Gives back, in capitals, what it is sent, while it is being sent. */
app.post("/shout", (c) =>
  stream(c, async (out) => {
    const text = c.req.raw.body?.pipeThrough(new TextDecoderStream());
    for await (const piece of text ?? []) await out.write(piece.toUpperCase());
  }),
);

app.use("/admin/*", basicAuth({ username: "ada", password: "lovelace" }));
app.get("/admin/secret", (c) => c.text("The answer is 42"));

app.get("/broken", () => {
  throw new Error("The sun went out");
});

app.notFound((c) => c.json({ error: `There is nothing at ${c.req.path}` }, 404));

app.onError((error, c: Context) => {
  if (error instanceof HTTPException && error.res) return error.getResponse();
  const status = error instanceof HTTPException ? error.status : 500;
  return c.json({ error: error.message }, status);
});

async function describe(value: string | File | (string | File)[]): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(describe));
  return value instanceof File ? { name: value.name, type: value.type, text: await value.text() } : value;
}

export default app;
