/** An app of as many hellos as are asked for: `GET /s0`, `GET /s1`, … */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { helloSource } from "./contenders.ts";

export async function appOf(services: number, scratch: string): Promise<string> {
  const folder = join(scratch, "apps", `app-of-${services}`);
  await mkdir(folder, { recursive: true });
  await copyFile(helloSource, join(folder, "service.ts"));
  const declared = Array.from(
    { length: services },
    (_, index) => `  s${index}: { source: service.ts, routes: ["GET /s${index}"] }\n`,
  );
  await writeFile(join(folder, "cyto.yaml"), `app: many\nservices:\n${declared.join("")}`);
  return folder;
}
