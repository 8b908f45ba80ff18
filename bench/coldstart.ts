import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as lg from "../src/index.js";
import { median } from "./numbers.js";
import { install, JAX, ONNXRUNTIME_WEB, type Packages, specsOf, TENSORFLOW } from "./peers/packages.js";
import type { Measured } from "./run.js";

const ROUNDS = 15;
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BARE = "bare Node";
const INPUTS = 784;
const OUTPUTS = 256;

/** A program to start, as a file. */
interface Starter {
  name: string;
  file: string;
  about: string;
}

interface Run {
  milliseconds: number;
  /** The most memory that was resident, in kB. */
  resident: number;
}

/**
 * `npm run bench:coldstart`: a fresh process loads a library and does one forward pass of 784 -> 256; another one does nothing. Medians of
 * runs that take turns, with resident memory and the size on disk. lanegrad runs as the packed package, in a project of its own, and
 * as one bundled file.
 */
export async function measureColdStarts(pace: number, print: (text: string) => void): Promise<Measured> {
  const rounds = Math.ceil(pace * ROUNDS);
  const folder = mkdtempSync(join(tmpdir(), "lanegrad-coldstart-"));
  try {
    const starters = [openBare(folder), openPackage(join(folder, "package")), await openBundle(folder)];
    for (const peer of PEERS) starters.push(...(await openPeer(peer, print)));
    const runs: Record<string, Run[]> = Object.fromEntries(starters.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const { name, file } of starters) runs[name].push(run(file));
    }
    const typical = (name: string, of: keyof Run): number => median(runs[name].map((result) => result[of]));
    const milliseconds = Object.fromEntries(starters.map(({ name }) => [name, typical(name, "milliseconds")]));
    print(`Node ${process.versions.node}, medians of ${rounds} runs`);
    for (const { name, about } of starters) {
      const above = name === BARE ? "" : `, ${(milliseconds[name] - milliseconds[BARE]).toFixed(1)} above ${BARE}`;
      const resident = `${(typical(name, "resident") / 1024).toFixed(0)} MB resident`;
      print(`${name.padEnd(12)} ${milliseconds[name].toFixed(1)} ms${above}, ${resident} (${about})`);
    }
    return {
      bench: "coldstart",
      contenders: starters.map(({ name, about }) => ({ name, about })),
      rows: [{ name: "cold start", milliseconds, rounds, countedRounds: rounds, noisy: false }],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

function write(file: string, content: string | Uint8Array): string {
  writeFileSync(file, content);
  return file;
}

const REPORT = "console.log(process.resourceUsage().maxRSS);";
/** The result is checked. */
const finish = (values: string): string =>
  `if (${values}.length !== ${OUTPUTS}) throw new Error("a wrong result"); ${REPORT}`;

const PROGRAM = `
  import { LinearPReLU } from "lanegrad";
  const y = new LinearPReLU(${INPUTS}, ${OUTPUTS}).forward(new Float32Array(${INPUTS}));
  ${finish("y.data")}`;

const openBare = (folder: string): Starter => ({
  name: BARE,
  file: write(join(folder, "bare.mjs"), REPORT),
  about: "a program that does nothing",
});

function openPackage(folder: string): Starter {
  mkdirSync(folder);
  const npm = (...args: string[]) => execFileSync("npm", [...args, "--ignore-scripts"], { cwd: folder });
  write(join(folder, "package.json"), '{ "private": true }');
  const [{ filename }] = JSON.parse(npm("pack", "--json", "--pack-destination", folder, ROOT).toString());
  npm("install", "--no-audit", "--no-fund", join(folder, filename));
  const size = megabytes(sizeOf(join(folder, "node_modules/lanegrad")));
  return { name: "package", file: write(join(folder, "program.mjs"), PROGRAM), about: `installed, ${size}` };
}

async function openBundle(folder: string): Promise<Starter> {
  const file = join(folder, "bundle.mjs");
  const stdin = { contents: PROGRAM, resolveDir: ROOT };
  await build({ stdin, bundle: true, minify: true, platform: "node", format: "esm", outfile: file });
  return { name: "one file", file, about: `bundled, ${megabytes(statSync(file).size)}` };
}

interface Peer {
  name: string;
  packages: Packages;
  program: string;
}

const PEERS: readonly Peer[] = [
  {
    name: "TF.js wasm",
    packages: TENSORFLOW,
    program: `
      const tf = require("@tensorflow/tfjs-core");
      const wasm = require("@tensorflow/tfjs-backend-wasm");
      wasm.setWasmPaths(require("node:path").dirname(require.resolve("@tensorflow/tfjs-backend-wasm")) + "/");
      wasm.setThreadsCount(1);
      tf.setBackend("wasm").then(() => {
        const s = tf.add(tf.matMul(tf.zeros([1, ${INPUTS}]), tf.ones([${INPUTS}, ${OUTPUTS}])), tf.zeros([${OUTPUTS}]));
        const y = tf.prelu(s, tf.ones([${OUTPUTS}])).dataSync();
        ${finish("y")}
      });`,
  },
  {
    name: "jax-js wasm",
    packages: JAX,
    program: `
      const { defaultDevice, init, numpy } = require("@jax-js/jax");
      init("wasm").then(() => {
        defaultDevice("wasm");
        const array = (...shape) => numpy.array(new Float32Array(shape.reduce((a, b) => a * b)), { shape });
        const product = numpy.dot(array(1, ${INPUTS}), numpy.transpose(array(${OUTPUTS}, ${INPUTS})));
        const s = product.add(array(${OUTPUTS}));
        const y = numpy.where(s.ref.greater(0), s.ref, s.mul(array(${OUTPUTS}))).dataSync();
        ${finish("y")}
      });`,
  },
  {
    name: "ORT web",
    packages: ONNXRUNTIME_WEB,
    program: `
      const ort = require("onnxruntime-web");
      ort.env.wasm.numThreads = 1;
      const model = require("node:fs").readFileSync(__dirname + "/coldstart.onnx");
      ort.InferenceSession.create(model, { executionProviders: ["wasm"] }).then(async (session) => {
        const x = new ort.Tensor("float32", new Float32Array(${INPUTS}), [1, ${INPUTS}]);
        const [y] = Object.values(await session.run({ [session.inputNames[0]]: x }));
        ${finish("y.data")}
        process.exit(); // a worker of its own would go on
      });`,
  },
];

/** The same network as an ONNX file. */
const model = (): Uint8Array =>
  lg.toONNX(new lg.Sequential(new lg.Linear(INPUTS, OUTPUTS), new lg.PReLU({ numParameters: OUTPUTS })), {
    inputShape: [INPUTS],
  });

/** A library, installed in a folder of its own; if that fails nothing, and a message. */
async function openPeer({ name, packages, program }: Peer, print: (text: string) => void): Promise<Starter[]> {
  try {
    const home = await install(packages);
    const file = write(join(home, "coldstart.cjs"), program);
    write(join(home, "coldstart.onnx"), model());
    run(file);
    return [{ name, file, about: `${specsOf(packages).join(" ")}, ${megabytes(sizeOf(join(home, "node_modules")))}` }];
  } catch (error) {
    print(`${name}: ${(error as Error).message.split("\n")[0]}`);
    return [];
  }
}

/** From the start of a process to its end. */
function run(file: string): Run {
  const begin = performance.now();
  const { LANEGRAD_WIDE: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8", env });
  const milliseconds = performance.now() - begin;
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
  return { milliseconds, resident: Number(stdout.trim().split("\n").at(-1)) };
}
