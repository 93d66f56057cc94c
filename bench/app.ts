/** An app of as many hellos as are asked for, no two alike: `GET /s0`, `GET /s1`, … */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export async function appOf(services: number, scratch: string): Promise<string> {
  const folder = join(scratch, "apps", `app-of-${services}`);
  await mkdir(folder, { recursive: true });
  let manifest = "app: many\nservices:\n";
  for (let index = 0; index < services; index += 1) {
    manifest += `  s${index}: { source: s${index}.ts, routes: ["GET /s${index}"] }\n`;
    const source = `export default { fetch(): Response { return new Response("Hello from ${index}"); } };\n`;
    await writeFile(join(folder, `s${index}.ts`), source);
  }
  await writeFile(join(folder, "cyto.yaml"), manifest);
  return folder;
}
