#!/usr/bin/env node
/**
 * The `cyto` command: finds a Node that is new enough, and hands over to src/cli/main.ts.
 *
 * Plain JavaScript, for it must run on Node 20. An older Node than the platform needs starts itself
 * anew with the one that the npm package `node` brings, and is then only a pipe: it passes signals
 * down and the exit code up, and takes the other with it when it is killed.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The first with `net.BoundSocket`, which takes a port before it is used. */
const needed = "26.4";
const launcher = realpathSync(fileURLToPath(import.meta.url));
const root = dirname(dirname(launcher));

/** Published packages carry compiled JavaScript; Node refuses TypeScript inside node_modules. */
const compiled = join(root, "dist/cli/main.js");
const entry = existsSync(compiled) ? compiled : join(root, "src/cli/main.ts");

if (isNewEnough(process.versions.node)) {
  const { main } = await import(pathToFileURL(entry).href);
  process.exitCode = await main(process.argv.slice(2));
} else {
  const node = findNode();
  if (node === undefined) {
    process.stderr.write(
      `error: Cannot start cyto: it needs Node ${needed}, and this is Node ${process.versions.node}\n` +
        `  = run "npm ci" in ${root}: it brings Node ${needed} along (its install script must be allowed)\n` +
        `  = or install Node ${needed} or later\n`,
    );
    process.exitCode = 1;
  } else {
    restart(node);
  }
}

/** The binary of the npm package `node`, if it is there and new enough. */
function findNode() {
  try {
    const manifest = createRequire(launcher).resolve("node/package.json");
    const binary = join(dirname(manifest), "bin", process.platform === "win32" ? "node.exe" : "node");
    const { version } = JSON.parse(readFileSync(manifest, "utf8"));
    return isNewEnough(version) && existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} node */
function restart(node) {
  // The channel carries no messages: its end tells the other that this process has gone.
  const child = spawn(node, [...process.execArgv, launcher, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, CYTO_LAUNCHED: "1" },
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"])) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both; passed on, it would count as the second.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`error: Cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
  });
}

/** @param {string} version */
function isNewEnough(version) {
  const [[major = 0, minor = 0], [leastMajor = 0, leastMinor = 0]] = [version, needed].map((text) =>
    text.split(".").map(Number),
  );
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
