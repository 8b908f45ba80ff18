import * as lg from "../../src/index.js";
import { Scope } from "../row.js";
import type { Contender } from "./contender.js";
import { createNet } from "./lanegrad.js";
import { requireFrom } from "./packages.js";
import type { Problem } from "./problem.js";

interface Tensor {
  readonly data: Float32Array;
}

interface Session {
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

/** The part of onnxruntime-common, which both packages export, that is used here. */
interface OnnxRuntime {
  env: { wasm: { numThreads: number } };
  Tensor: new (type: "float32", values: Float32Array, shape: number[]) => Tensor;
  InferenceSession: { create(model: Uint8Array, options: Record<string, unknown>): Promise<Session> };
}

/** Both packages run models and train none. */
export function openOnnxRuntime(name: "onnxruntime-web" | "onnxruntime-node") {
  return async (folder: string): Promise<Contender> => {
    const ort: OnnxRuntime = requireFrom(folder)(name);
    ort.env.wasm.numThreads = 1;
    const options = {
      executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    };
    return {
      train: () => undefined,
      async infer(problem) {
        const session = await withoutNewWorker(() => ort.InferenceSession.create(modelOf(problem), options));
        const feeds = { input: new ort.Tensor("float32", problem.x.values, problem.x.shape) };
        return {
          forward: async () => (await session.run(feeds)).output.data,
          [Symbol.dispose]: () => void session.release(),
        };
      },
    };
  };
}

/** The problem's network as an ONNX file. */
function modelOf(problem: Problem): Uint8Array {
  using scope = new Scope();
  const { net } = createNet(problem, lg.defaultEngine(), scope);
  return lg.toONNX(net, { inputShape: problem.x.shape.slice(1) });
}

/**
 * The web package leaves node:worker_threads' Worker among the globals, by which jax-js then takes Node for a browser
 * and fails.
 */
async function withoutNewWorker<Result>(run: () => Promise<Result>): Promise<Result> {
  const hadWorker = "Worker" in globalThis;
  try {
    return await run();
  } finally {
    if (!hadWorker) Reflect.deleteProperty(globalThis, "Worker");
  }
}
