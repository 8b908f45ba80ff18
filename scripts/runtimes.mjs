// Runtimes and tools that tests need and that are too large for the project's own dependencies. They come from the npm registry into
// $LANEGRAD_RUNTIMES, by default a folder of the system's temporary one, and stay there for the next run.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installOnce, Missing, run } from "./install.mjs";

const PLAYWRIGHT = "1.65.1";
const CHROMIUMS = ["chromium", "chromium-browser", "google-chrome"];
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const runtimes = process.env.LANEGRAD_RUNTIMES ?? join(tmpdir(), "lanegrad-runtimes");

/** The folder of a package, which is installed unless it is there. Throws Missing if that fails. */
export async function installed(name, specs) {
  const home = join(runtimes, specs.join("+").replaceAll("/", "-"));
  await installOnce(home, specs);
  return join(home, "node_modules", name);
}

/** Where Cloudflare's simulator of Workers is. */
export const installedMiniflare = () => installed("miniflare", ["miniflare@4.20260730.0"]);

/** Where a simulator of AWS Lambda is. */
export const installedLambdaLocal = () => installed("lambda-local", ["lambda-local@2.2.0"]);

/** Chromium without a window: the system's or, if there is none and this is root, Debian's. */
export async function launchChromium() {
  const executablePath = findChromium();
  const home = await installed("playwright-core", [`playwright-core@${PLAYWRIGHT}`]);
  const { chromium } = await import(pathToFileURL(join(home, "index.mjs")));
  return chromium.launch({ executablePath, headless: true, args: CHROMIUM_FLAGS });
}

function findChromium() {
  const find = () => {
    for (const name of CHROMIUMS) {
      try {
        return run("which", [name]).trim();
      } catch {}
    }
  };
  const found = find();
  if (found !== undefined) return found;
  try {
    if (process.getuid?.() !== 0) throw new Error("not installed, and only root may install it");
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "chromium"], { ...process.env, DEBIAN_FRONTEND: "noninteractive" });
    return find();
  } catch (cause) {
    throw new Missing(`Chromium: ${cause.message}`, { cause });
  }
}
