import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildServerless } from "../../examples/serverless/build.js";
import { createService } from "../../examples/serverless/service.js";
import { MemoryStore } from "../../examples/serverless/store.js";
import { installedMiniflare } from "../../scripts/runtimes.mjs";
import { BAD_REQUESTS, conversation, examples } from "../support/serverless.js";

let folder = "";
let Miniflare;
let worker;

const service = createService(new MemoryStore());
const here = (method, path, body) => service({ method, path, body: [Buffer.from(body)] });

async function send(method, path, body) {
  const response = await worker.dispatchFetch(`http://localhost${path}`, {
    method,
    body: method === "GET" ? undefined : body,
  });
  return { status: response.status, body: await response.text() };
}

function startWorker() {
  const kernels = readdirSync(folder).filter((file) => file.endsWith(".wasm"));
  return new Miniflare({
    modules: [
      { type: "ESModule", path: join(folder, "worker.mjs") },
      ...kernels.map((file) => ({ type: "CompiledWasm", path: join(folder, file) })),
    ],
    modulesRoot: folder,
    compatibilityDate: "2026-01-01",
    durableObjects: { MODELS: { className: "ModelObject", useSQLite: true } },
    durableObjectsPersist: join(folder, "state"),
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lanegrad-worker-"));
  await buildServerless(folder);
  const home = await installedMiniflare();
  ({ Miniflare } = createRequire(join(home, "package.json"))(home));
  worker = startWorker();
});

afterAll(async () => {
  await worker?.dispose();
  rmSync(folder, { recursive: true });
});

test("in workerd the function gives the same answers as in this process", async () => {
  expect(await conversation(send)).toEqual(await conversation(here));
});

test("what it refuses changes nothing", async () => {
  const question = JSON.stringify(examples(1)[0]);
  const before = await send("POST", "/models/ada/predict", question);
  // a client resolves dots by itself
  for (const [what, status, method, path, body] of BAD_REQUESTS.filter(([, , , path]) => !/\.\.|%2e/.test(path))) {
    expect((await send(method, path, body)).status, what).toBe(status);
  }
  expect(await send("POST", "/models/ada/predict", question)).toEqual(before);
});

test("models of many requests at once do not mix", async () => {
  const names = ["dora", "emil", "finn"];
  const teach = (way) => (example, i) => way("POST", `/models/${names[i % 3]}/learn`, JSON.stringify(example));
  const answers = await Promise.all(examples(30).map(teach(send)));
  expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(200));
  expect(new Set(answers.map(({ body }, i) => `${names[i % 3]} ${JSON.parse(body).revision}`)).size).toBe(30);
});

test("what was learned is there when the worker starts again", async () => {
  const question = JSON.stringify(examples(1)[0]);
  const before = await send("POST", "/models/ada/predict", question);
  await worker.dispose();
  worker = startWorker();
  expect(await send("POST", "/models/ada/predict", question)).toEqual(before);
  expect(JSON.parse(before.body).revision).toBe(4);
});
