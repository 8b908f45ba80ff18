import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildServerless } from "../../examples/serverless/build.js";
import { createService } from "../../examples/serverless/service.js";
import { MemoryStore } from "../../examples/serverless/store.js";
import { installedLambdaLocal } from "../../scripts/runtimes.mjs";
import { BAD_REQUESTS, conversation, examples } from "../support/serverless.js";

let folder = "";
let send;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lanegrad-lambda-"));
  await buildServerless(folder);
  const home = await installedLambdaLocal();
  const lambdaLocal = createRequire(join(home, "package.json"))(home);
  lambdaLocal.getLogger().level = "error";
  send = async (method, rawPath, body) => {
    const event = { version: "2.0", rawPath, requestContext: { http: { method, path: rawPath } }, body };
    const { statusCode, body: answer } = await lambdaLocal.execute({
      event,
      lambdaPath: join(folder, "lambda.mjs"),
      esm: true,
      environment: { STATE_FOLDER: join(folder, "state") },
    });
    return { status: statusCode, body: answer };
  };
});

afterAll(() => rmSync(folder, { recursive: true }));

test("in lambda-local the function gives the same answers as in this process", async () => {
  const service = createService(new MemoryStore());
  const here = (method, path, body) => service({ method, path, body: [Buffer.from(body)] });
  expect(await conversation(send)).toEqual(await conversation(here));
});

test("what it refuses changes nothing", async () => {
  const question = JSON.stringify(examples(1)[0]);
  const before = await send("POST", "/models/ada/predict", question);
  for (const [what, status, method, path, body] of BAD_REQUESTS) {
    expect((await send(method, path, body)).status, what).toBe(status);
  }
  expect(await send("POST", "/models/ada/predict", question)).toEqual(before);
});
