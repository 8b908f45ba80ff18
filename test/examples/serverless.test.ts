import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import * as lg from "lanegrad";
import { afterAll, beforeAll, describe, expect, it, test, vi } from "vitest";
import { buildServerless } from "../../examples/serverless/build.js";
import { FileStore } from "../../examples/serverless/file-store.js";
import type { HttpResult } from "../../examples/serverless/lambda.js";
import { createNodeServer } from "../../examples/serverless/node.js";
import { createService, type Service } from "../../examples/serverless/service.js";
import { MemoryStore, type Snapshot, type Store } from "../../examples/serverless/store.js";
import { BAD_REQUESTS, conversation, type Example, examples, type Send } from "../support/serverless.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lanegrad-serverless-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const newFolder = (): string => mkdtempSync(join(folder, "state-"));

const sendTo =
  (service: Service): Send =>
  (method, path, body) =>
    service({ method, path, body: [Buffer.from(body)] });

const learn = (send: Send, name: string, example: Example) =>
  send("POST", `/models/${name}/learn`, JSON.stringify(example));

/** A store over a network: other requests come in between. */
class SlowStore extends MemoryStore {
  override async read(name: string): Promise<Snapshot | undefined> {
    await delay(Math.random() * 3);
    return super.read(name);
  }
  override async write(name: string, snapshot: Snapshot): Promise<boolean> {
    await delay(Math.random() * 3);
    return super.write(name, snapshot);
  }
}

describe("the service", () => {
  test("learns on the job", async () => {
    const send = sendTo(createService(new MemoryStore()));
    const unseen = examples(100, "t10k");
    const rightOnes = async (): Promise<number> => {
      const answers = await Promise.all(
        unseen.map((example) => send("POST", "/models/ada/predict", JSON.stringify(example))),
      );
      return answers.filter(({ body }, i) => JSON.parse(body).label === unseen[i].label).length;
    };
    expect(await rightOnes()).toBeLessThan(30);
    for (const example of examples(500)) await learn(send, "ada", example);
    expect(await rightOnes()).toBeGreaterThan(55);
  });

  test("keeps what a network would that never left the memory, to the bit", async () => {
    const store = new MemoryStore();
    const send = sendTo(createService(store));
    const engine = lg.createEngine({ kernels: "simd" });
    const net = new lg.Sequential(new lg.LinearPReLU(784, 32, { engine }), new lg.Linear(32, 10, { engine }));
    const optimizer = new lg.SGD(net.parameters(), { lr: 0.1 });
    for (const [i, example] of examples(50).entries()) {
      optimizer.zeroGrad();
      const { loss, grad } = lg.crossEntropy(net.forward(example.x), example.label);
      net.backwardParams(grad);
      lg.clipGradNorm(net.parameters(), 1);
      optimizer.step();
      const { body } = await learn(send, "ada", example);
      expect(JSON.parse(body)).toEqual({ loss, revision: i + 1 });
    }
    const { weights, revision } = (await store.read("ada"))!;
    expect(revision).toBe(50);
    expect(Buffer.from(weights).equals(lg.save(net))).toBe(true);
  });

  test("answers probabilities and where they come from", async () => {
    const send = sendTo(createService(new MemoryStore()));
    const [example] = examples(1);
    await learn(send, "ada", example);
    const { status, body } = await send("POST", "/models/ada/predict", JSON.stringify(example));
    const { label, probabilities, revision } = JSON.parse(body);
    expect(status).toBe(200);
    expect(revision).toBe(1);
    expect(probabilities).toHaveLength(10);
    expect(probabilities.reduce((sum: number, p: number) => sum + p)).toBeCloseTo(1, 2);
    expect(probabilities[label]).toBe(Math.max(...probabilities));
  });
});

describe.each<[string, () => Store]>([
  ["MemoryStore", () => new MemoryStore()],
  ["a slow store", () => new SlowStore()],
  ["FileStore", () => new FileStore(newFolder())],
])("over %s", (_, openStore) => {
  test("models of many requests at once do not mix, and none is lost", async () => {
    const names = ["ada", "bob", "cleo"];
    const alone = new MemoryStore();
    const sendAlone = sendTo(createService(alone));
    // to each its own: a third of the examples, in their order
    for (const [i, example] of examples(60).entries()) await learn(sendAlone, names[i % 3], example);

    const store = openStore();
    const send = sendTo(createService(store));
    const answers = await Promise.all(
      examples(60).flatMap((example, i) => [
        learn(send, names[i % 3], example),
        send("POST", `/models/${names[(i + 1) % 3]}/predict`, JSON.stringify(example)),
      ]),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(120).fill(200));
    for (const name of names) {
      const [expected, actual] = [await alone.read(name), await store.read(name)];
      expect(actual!.revision).toBe(20);
      expect(Buffer.from(actual!.weights).equals(expected!.weights), name).toBe(true);
    }
  });

  test("stores a revision once", async () => {
    const store = openStore();
    const snapshot = (revision: number) => ({ weights: Uint8Array.of(revision), revision });
    expect(await store.read("ada")).toBeUndefined();
    expect(await store.write("ada", snapshot(1))).toBe(true);
    expect(await store.write("ada", { ...snapshot(1), weights: Uint8Array.of(99) })).toBe(false);
    expect(await store.write("ada", snapshot(2))).toBe(true);
    // its file is gone, but not the memory of it
    expect(await store.write("ada", snapshot(1))).toBe(false);
    expect(await store.read("bob")).toBeUndefined();
    const { weights, revision } = (await store.read("ada"))!;
    expect([revision, ...weights]).toEqual([2, 2]);
  });
});

test("services that share a store all get their turn", async () => {
  const store = new SlowStore();
  const senders = Array.from({ length: 4 }, () => sendTo(createService(store)));
  const answers = await Promise.all(
    examples(8).flatMap((example) => senders.map((send) => learn(send, "ada", example))),
  );
  const accepted = answers.filter(({ status }) => status === 200);
  // who had to wait for too long is told so
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(answers.length - accepted.length);
  const revisions = accepted.map(({ body }) => JSON.parse(body).revision).sort((a, b) => a - b);
  expect(revisions).toEqual(accepted.map((_, i) => i + 1));
  expect((await store.read("ada"))!.revision).toBe(accepted.length);
});

test("where others are always faster, the answer is 503", async () => {
  const store = new MemoryStore();
  store.write = async () => false;
  const service = createService(store);
  const body = [Buffer.from(JSON.stringify(examples(1)[0]))];
  const { status, headers } = await service({ method: "POST", path: "/models/ada/learn", body });
  expect(status).toBe(503);
  expect(headers["retry-after"]).toBe("1");
});

describe("a bad request", () => {
  const store = new MemoryStore();
  const service = createService(store);
  const send = sendTo(service);
  beforeAll(async () => void (await learn(send, "ada", examples(1)[0])));

  it.each(BAD_REQUESTS)("%s: %i", async (_, expected, method, path, body) => {
    const before = await store.read("ada");
    const copy = before!.weights.slice();
    const { status, body: answer } = await send(method, path, body);
    expect(status).toBe(expected);
    expect(JSON.parse(answer)).toEqual({ error: expect.stringMatching(/\S/) });
    expect(await store.read("ada")).toBe(before);
    expect(Buffer.from(before!.weights).equals(copy)).toBe(true);
  });

  test("bytes that are no UTF-8: 400", async () => {
    const body = [Buffer.from([0x7b, 0xff, 0x7d])];
    expect((await service({ method: "POST", path: "/models/ada/learn", body })).status).toBe(400);
  });

  test("is not read to its end where it is too large", async () => {
    let pieces = 0;
    async function* endless() {
      for (;;) {
        pieces++;
        yield new Uint8Array(10_000).fill(0x20);
      }
    }
    expect((await service({ method: "POST", path: "/models/ada/learn", body: endless() })).status).toBe(413);
    expect(pieces).toBe(7);
  });

  test("says which method there is", async () => {
    const { headers } = await service({ method: "DELETE", path: "/models/ada/learn", body: [] });
    expect(headers.allow).toBe("POST");
  });

  test("does not count against the ones behind it", async () => {
    const answers = await Promise.all([
      send("POST", "/models/eve/learn", '{ "x": [1], "label": 1 }'),
      learn(send, "eve", examples(1)[0]),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([422, 200]);
  });
});

test("a store that fails is no fault of the request: 500, and nothing changes", async () => {
  const complain = vi.spyOn(console, "error").mockImplementation(() => {});
  const [example] = examples(1);
  const file = join(newFolder(), "file");
  writeFileSync(file, "");
  const { status, body } = await learn(sendTo(createService(new FileStore(file))), "ada", example);
  expect(status).toBe(500);
  expect(body).not.toContain(file);
  expect(complain).toHaveBeenCalledOnce();

  // weights of another network
  const store = new MemoryStore();
  await store.write("ada", { weights: lg.save(new lg.Linear(2, 2)), revision: 1 });
  const send = sendTo(createService(store));
  expect((await learn(send, "ada", example)).status).toBe(500);
  expect((await store.read("ada"))!.revision).toBe(1);
  expect((await learn(send, "bob", example)).status).toBe(200);
  complain.mockRestore();
});

test("FileStore keeps one file of weights a model, whatever processes leave behind that end while they write", async () => {
  const place = newFolder();
  const store = new FileStore(place);
  const write = (revision: number) => store.write("ada", { weights: new Uint8Array(1000).fill(revision), revision });
  for (let revision = 1; revision <= 4; revision++) await write(revision);
  const [cutShort, another] = [join(place, "ada", "0-1-2-3.safetensors"), join(place, "ada", "notes.txt")];
  writeFileSync(cutShort, "half");
  writeFileSync(another, "not ours");
  expect((await store.read("ada"))!.revision).toBe(4);
  await write(5);
  expect(existsSync(cutShort)).toBe(false);
  expect(existsSync(another)).toBe(true);
  const [weights, ...more] = readdirSync(join(place, "ada")).filter((file) => file.endsWith(".safetensors"));
  expect(more).toEqual([]);
  expect(readdirSync(join(place, "ada", "latest"))).toEqual([`5-${weights.replace(".safetensors", "")}`]);
  expect((await store.read("ada"))!.weights[0]).toBe(5);
});

test("MemoryStore forgets the models that were used least recently where there are too many", async () => {
  const store = new MemoryStore({ maximumModels: 2 });
  const write = (name: string, revision = 1) => store.write(name, { weights: Uint8Array.of(revision), revision });
  await write("ada");
  await write("bob");
  await store.read("ada");
  await write("cleo");
  expect(await store.read("bob")).toBeUndefined();
  expect((await store.read("ada"))!.revision).toBe(1);
  // what follows a revision that is forgotten follows nothing
  expect(await write("bob", 2)).toBe(false);
  expect(await write("bob")).toBe(true);
  expect(await store.read("cleo")).toBeUndefined();

  const standard = new MemoryStore();
  for (let i = 0; i < 3000; i++) await standard.write(`model-${i}`, { weights: new Uint8Array(1), revision: 1 });
  expect(await standard.read("model-1999")).toBeUndefined();
  expect(await standard.read("model-2000")).toBeDefined();
});

describe("over node:http", () => {
  const store = new MemoryStore();
  const server = createNodeServer(createService(store));
  let url = "";
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const send: Send = async (method, path, body) => {
    const response = await fetch(url + path, { method, body: method === "GET" ? undefined : body });
    return { status: response.status, body: await response.text() };
  };

  // a client resolves dots by itself
  const overHttp = BAD_REQUESTS.filter(([, , , path]) => !/\.\.|%2e/.test(path));
  it.each(overHttp)("refuses %s: %i", async (_, status, method, path, body) => {
    expect((await send(method, path, body)).status).toBe(status);
    expect(await store.read("ada")).toBeUndefined();
  });

  test("does not mind a query", async () => {
    const { status } = await send("POST", "/models/query/learn?trace=1", JSON.stringify(examples(1)[0]));
    expect(status).toBe(200);
  });

  test("learns nothing from a body that ends early", async () => {
    const body = JSON.stringify(examples(1)[0]);
    const sending = request(`${url}/models/ada/learn`, { method: "POST", headers: { "content-length": body.length } });
    sending.on("error", () => {});
    sending.write(body.slice(0, -10));
    await delay(50);
    sending.destroy();
    await delay(50);
    expect(await store.read("ada")).toBeUndefined();
    expect((await send("POST", "/models/ada/learn", body)).status).toBe(200);
  });
});

describe("a client that is slow", () => {
  const MILLISECONDS = 300;
  const server = createNodeServer(createService(new MemoryStore()), { requestMilliseconds: MILLISECONDS });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const head = "POST /models/ada/learn HTTP/1.1\r\nhost: localhost\r\n";
  test.each([
    ["to say anything", ""],
    ["with its headers", head],
    ["with its body", `${head}content-length: 100\r\n\r\n{ "x"`],
  ])("%s is let go in time", async (_, text) => {
    const from = performance.now();
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.write(text);
    // a byte now and then does not help
    const dripping = setInterval(() => text !== "" && socket.write("x"), 100);
    socket.on("error", () => {});
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(dripping);
    expect(performance.now() - from).toBeGreaterThan(MILLISECONDS * 0.9);
    expect(performance.now() - from).toBeLessThan(MILLISECONDS * 5);
  });

  test("has thirty seconds, and not much more, unless told otherwise", () => {
    const standard = createNodeServer(createService(new MemoryStore()));
    expect(standard.requestTimeout).toBe(30_000);
    expect(standard.headersTimeout).toBe(30_000);
  });
});

describe("bundled into one file, which runs elsewhere", () => {
  let bundles = "";
  let expected: string[] = [];
  const running: ChildProcess[] = [];
  beforeAll(async () => {
    bundles = join(folder, "bundles");
    await buildServerless(bundles);
    expected = await conversation(sendTo(createService(new MemoryStore())));
  });
  afterAll(() => {
    for (const child of running) child.kill("SIGKILL");
  });

  /** A server on a free port, and the way to it. */
  async function startServer(env: NodeJS.ProcessEnv): Promise<{ child: ChildProcess; url: string; send: Send }> {
    const program = join(newFolder(), "server.mjs");
    writeFileSync(program, readFileSync(join(bundles, "server.mjs")));
    const child = spawn(process.execPath, [program], { env: { ...env, PORT: "0" } });
    running.push(child);
    const output = await new Promise<string>((resolve, reject) => {
      child.stdout!.once("data", (text) => resolve(String(text)));
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const [url] = /http:\/\/[^/]+/.exec(output)!;
    const send: Send = async (method, path, body) => {
      const response = await fetch(url + path, { method, body });
      return { status: response.status, body: await response.text() };
    };
    return { child, url, send };
  }

  test.each([
    ["this machine only", undefined, [false, true]],
    ["everybody where HOST says so", "0.0.0.0", [true, true]],
  ])("the server listens for %s", async (_, HOST, expectedReach) => {
    const { url } = await startServer(HOST === undefined ? {} : { HOST });
    const { port } = new URL(url);
    const other = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === "IPv4" && !address.internal);
    const canReach = (host = "127.0.0.2") =>
      fetch(`http://${host}:${port}/`).then(
        () => true,
        () => false,
      );
    expect([await canReach(other?.address), await canReach("127.0.0.1")]).toEqual(expectedReach);
  });

  test("the server gives the same answers", async () => {
    expect(await conversation((await startServer({})).send)).toEqual(expected);
  });

  test("the Lambda function gives the same answers, of which nothing is lost when it ends", async () => {
    vi.stubEnv("STATE_FOLDER", newFolder());
    const load = async (instance: number) => {
      const { handler } = await import(`${pathToFileURL(join(bundles, "lambda.mjs"))}?${instance}`);
      const send: Send = async (method, rawPath, body) => {
        const isBase64Encoded = rawPath.includes("bob");
        const event = {
          rawPath,
          requestContext: { http: { method } },
          body: isBase64Encoded ? Buffer.from(body).toString("base64") : body,
          isBase64Encoded,
        };
        const { statusCode, body: answer }: HttpResult = await handler(event);
        return { status: statusCode, body: answer };
      };
      return send;
    };
    const send = await load(1);
    expect(await conversation(send)).toEqual(expected);
    for (const [what, status, method, path, body] of BAD_REQUESTS) {
      expect((await send(method, path, body)).status, what).toBe(status);
    }
    const another = await load(2);
    const question = JSON.stringify(examples(1, "t10k")[0]);
    expect((await another("POST", "/models/ada/predict", question)).body).toBe(expected.at(-3));
    vi.unstubAllEnvs();
  });

  test("servers that share a folder lose nothing that they have acknowledged, even when one is killed", async () => {
    const STATE_FOLDER = newFolder();
    const servers = await Promise.all([startServer({ STATE_FOLDER }), startServer({ STATE_FOLDER })]);
    const acknowledged: number[] = [];
    let unknown = 0;
    const teach = async (send: Send) => {
      for (const example of examples(40)) {
        try {
          const { status, body } = await learn(send, "ada", example);
          if (status === 200) acknowledged.push(JSON.parse(body).revision);
          else expect(status).toBe(503);
        } catch {
          // the one that was killed
          unknown++;
          return;
        }
        if (acknowledged.length === 20) servers[0].child.kill("SIGKILL");
      }
    };
    await Promise.all(servers.map(({ send }) => teach(send)));
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const { revision, weights } = (await new FileStore(STATE_FOLDER).read("ada"))!;
    // the request that was under way may have been stored before it could be answered
    expect(revision).toBeGreaterThanOrEqual(acknowledged.length);
    expect(revision).toBeLessThanOrEqual(acknowledged.length + unknown);
    const net = new lg.Sequential(new lg.LinearPReLU(784, 32), new lg.Linear(32, 10));
    lg.load(net, weights);
    expect(net.parameters().every(({ value }) => value.data.every(Number.isFinite))).toBe(true);
  });
});
