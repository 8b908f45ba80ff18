import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import type { Run } from "./run.js";

export type Setup = Pick<Run, "node" | "v8" | "kernels" | "machine">;

export function describeSetup(kernels: Setup["kernels"]): Setup {
  const { node, v8 } = process.versions;
  const { vendor, family, model } = readProcessor();
  const name = cpus()[0]?.model.trim() ?? "unknown processor";
  return {
    node,
    v8,
    kernels,
    machine: {
      cpu: vendor === undefined ? name : `${name} (family ${family}, model ${model})`,
      cores: cpus().length,
      memory: totalmem(),
      system: `${type()} ${release()}`,
    },
  };
}

interface Processor {
  vendor?: string;
  family?: string;
  model?: string;
}

/** The first core's entry in Linux's /proc/cpuinfo; empty elsewhere. */
export function readProcessor(): Processor {
  try {
    const cpuinfo = readFileSync("/proc/cpuinfo", "utf8");
    const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(cpuinfo)?.[1];
    return { vendor: field("vendor_id"), family: field("cpu family"), model: field("model") };
  } catch {
    return {};
  }
}
