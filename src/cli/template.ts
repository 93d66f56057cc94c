/** What `cyto new` begins a project with: file names and their texts. */

type Template = (name: string) => Readonly<Record<string, string>>;

export const templateNames = ["service", "hono"] as const;
export type TemplateName = (typeof templateNames)[number];

export const templates: Readonly<Record<TemplateName, Template>> = {
  service: (name) => ({
    "cyto.yaml": manifest(
      name,
      `["GET /", "GET /visits/{name}", "POST /visits/{name}"]
    bindings:
      visits: { keyvalue: sqlite } # or memory, or redis://host:6379`,
    ),
    "service.ts": `import { keyvalue } from "@cytoplane/sdk";

const visits = keyvalue<number>("visits");

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response("Try: curl -X POST <address>/visits/ada\\n");
    const name = decodeURIComponent(pathname.slice("/visits/".length));
    const count = request.method === "POST" ? await visits.increment(name) : ((await visits.get(name)) ?? 0);
    return Response.json({ name, visits: count });
  },
};
`,
    "tsconfig.json": tsconfig,
    ".gitignore": gitignore(""),
    "README.md": readme(name, ""),
  }),
  hono: (name) => ({
    "cyto.yaml": manifest(name, `["/*"]`),
    "service.ts": `import { Hono } from "hono";

const app = new Hono();

app.get("/", (c) => c.text("Try: curl <address>/hello/ada\\n"));
app.get("/hello/:name", (c) => c.json({ hello: c.req.param("name") }));

export default app;
`,
    "package.json": `${JSON.stringify(
      { name, private: true, type: "module", dependencies: { hono: "^4.13.0" } },
      null,
      2,
    )}\n`,
    "tsconfig.json": tsconfig,
    ".gitignore": gitignore("node_modules/\n"),
    "README.md": readme(name, "npm install\n"),
  }),
};

function manifest(name: string, routes: string): string {
  return `app: ${name}
services:
  ${name}:
    source: service.ts
    routes: ${routes}
`;
}

/** The base is written by cyto: it points at the SDK's types. */
const tsconfig = `{ "extends": "./.cyto/tsconfig.json" }\n`;

function gitignore(more: string): string {
  return `# Builds, data and logs of this machine\n.cyto/\n${more}`;
}

function readme(name: string, install: string): string {
  return `# ${name}

\`\`\`sh
${install}cyto dev      # serves it, and serves it anew when you edit
cyto check    # finds what is wrong: the manifest, the types
cyto up       # serves it as in production
\`\`\`

\`cyto.yaml\` declares what it is made of, \`service.ts\` is the logic, \`.cyto/\` holds builds, data and logs.
`;
}
