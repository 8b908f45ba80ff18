import type { Contender } from "./contender.js";
import { openJax } from "./jax.js";
import { openOnnxRuntime } from "./onnxruntime.js";
import { install, JAX, ONNXRUNTIME_NODE, ONNXRUNTIME_WEB, type Packages, TENSORFLOW } from "./packages.js";
import { createDenseProblem } from "./problem.js";
import { openTensorFlow } from "./tensorflow.js";

interface Peer {
  /** The column's. */
  title: string;
  packages: Packages;
  /** From the folder where the packages are installed. */
  open(folder: string): Promise<Contender>;
}

export const PEERS: readonly Peer[] = [
  { title: "TF.js wasm", packages: TENSORFLOW, open: openTensorFlow },
  { title: "jax-js wasm", packages: JAX, open: openJax },
  { title: "ORT web", packages: ONNXRUNTIME_WEB, open: openOnnxRuntime("onnxruntime-web") },
  { title: "ORT node", packages: ONNXRUNTIME_NODE, open: openOnnxRuntime("onnxruntime-node") },
];

/** A contender, or why there is none. */
export type Opened = { contender: Contender } | { missing: string };

/** A library that cannot be installed here leaves its own column empty, and no other. */
export async function openPeer({ packages, open }: Peer): Promise<Opened> {
  let folder: string;
  try {
    folder = await install(packages);
  } catch (error) {
    return { missing: `not installable here: ${(error as Error).message}` };
  }
  try {
    const contender = await open(folder);
    await tryOut(contender);
    return { contender };
  } catch (error) {
    return { missing: `does not run here: ${(error as Error).message.split("\n")[0]}` };
  }
}

/** Some load their binaries no earlier than for the first model. */
async function tryOut(contender: Contender): Promise<void> {
  using inference = await contender.infer(createDenseProblem(1));
  await inference.forward();
}
