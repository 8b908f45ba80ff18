import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { installed } from "../../scripts/runtimes.mjs";
import { nets, type SampleNet, samples, trainALittle } from "../support/nets.js";

interface Tensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** The part of ONNX Runtime that is used here. */
interface OnnxRuntime {
  Tensor: new (type: "float32", values: Float32Array, shape: readonly number[]) => Tensor;
  InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>>;
      release(): Promise<void>;
    }>;
  };
}

const PACKAGE = "onnxruntime-node";
const VERSION = "1.30.0";
const BATCHES = [1, 2, 5];
const TOLERANCE = 2e-5;
const SEED = 7;
const RUNS = 100;

async function loadRuntime(): Promise<OnnxRuntime> {
  const home = await installed(PACKAGE, [`${PACKAGE}@${VERSION}`]);
  return createRequire(join(home, "package.json"))(home) as OnnxRuntime;
}

describe("ONNX Runtime", () => {
  test("computes what random nets compute, for batches of 1, 2 and 5", async () => {
    const ort = await loadRuntime();
    const check = async (make: () => SampleNet): Promise<void> => {
      const sample = make();
      trainALittle(sample);
      const { net, inputShape } = sample;
      const session = await ort.InferenceSession.create(lg.toONNX(net, { inputShape }));
      net.eval();
      for (const count of BATCHES) {
        const x = samples(count, inputShape);
        const y = net.forward(x);
        const { output } = await session.run({ input: new ort.Tensor("float32", x.data.slice(), x.shape) });
        expect(output.dims).toEqual(y.shape);
        const scale = Math.max(1, ...output.data.map(Math.abs));
        const worst = y.data.reduce((most, value, i) => Math.max(most, Math.abs(value - output.data[i])), 0);
        expect(worst).toBeLessThanOrEqual(TOLERANCE * scale);
      }
      await session.release();
      net.dispose();
    };
    await fc.assert(fc.asyncProperty(nets, check), { numRuns: RUNS, seed: SEED });
  });
});

const PYTHON = "/usr/bin/python3";
const hasChecker = existsSync(PYTHON) && succeeds(["-c", "import onnx"]);

function succeeds(args: string[]): boolean {
  try {
    execFileSync(PYTHON, args, { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

/** A checker that is older than our version of the operators takes the files as of its own: ours are the same there. */
const CHECK = `
import sys, onnx
for file in sys.argv[1:]:
    model = onnx.load(file)
    known = onnx.defs.onnx_opset_version()
    if known < model.opset_import[0].version:
        model.opset_import[0].version = known
        model.ir_version = min(model.ir_version, onnx.IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
`;

/** Where python3-onnx is installed. */
describe.runIf(hasChecker)("ONNX's own checker", () => {
  test("takes the files of random nets", () => {
    const folder = mkdtempSync(join(tmpdir(), "lanegrad-onnx-"));
    try {
      const files = fc.sample(nets, { numRuns: RUNS, seed: SEED }).map((make, i) => {
        const { net, inputShape } = make();
        const file = join(folder, `${i}.onnx`);
        writeFileSync(file, lg.toONNX(net, { inputShape }));
        net.dispose();
        return file;
      });
      execFileSync(PYTHON, ["-c", CHECK, ...files], { stdio: "pipe" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
