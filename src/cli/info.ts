import { cpus, totalmem } from "node:os";
import * as lg from "lanegrad";
import { readBytes } from "./files.js";
import { descriptionOf, METADATA_KEY, type ModelDescription, tensorsOf } from "./model.js";
import type { Command } from "./options.js";
import { columnsOf, counted, listed, thousands } from "./text.js";
import { version } from "./version.js";

const OPTIONS = { json: { help: "print it as JSON" } } as const;
/** How much of a metadata's value is shown; --json has all of it. */
const LONGEST_VALUE = 60;

export const info: Command<keyof typeof OPTIONS> = {
  summary: "Says what lanegrad runs on here, or what is in a safetensors file.",
  usage: ["info [FILE] [--json]"],
  arguments: [0, 1],
  options: OPTIONS,
  async run({ files, flags }) {
    const isJson = flags.has("json");
    const text = files.length === 0 ? machineText(isJson) : await fileText(files[0], isJson);
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

function machineText(isJson: boolean): string {
  // the first engine of the process may be wide: that is what is asked here
  const wideEngine = lg.createEngine({ wide: true });
  const { wide, wideReason } = wideEngine;
  wideEngine.dispose();
  const engine = lg.createEngine();
  const { bun, deno, node, v8 } = process.versions as Record<string, string | undefined>;
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${node}`;
  const processors = cpus();
  const facts = {
    version,
    runtime,
    v8: v8 ?? "",
    platform: `${process.platform} ${process.arch}`,
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    kernels: engine.kernels,
    threads: engine.threads,
    wide: { available: wide, byDefault: engine.wide, reason: wide ? "" : wideReason },
    memory: { ...engine.memory, machine: totalmem() },
  };
  engine.dispose();
  if (isJson) return JSON.stringify(facts);
  const megabytes = (bytes: number): string => `${thousands(bytes / 2 ** 20)} MiB`;
  const advice = facts.wide.byDefault ? "on" : "available: createEngine({ wide: true }), or LANEGRAD_WIDE=1";
  return columnsOf([
    ["lanegrad", facts.version],
    ["runtime", `${facts.runtime}, V8 ${facts.v8}`],
    ["machine", `${facts.processor}, ${counted(facts.cores, "core")}, ${facts.platform}`],
    ["kernels", facts.kernels],
    ["threads", String(facts.threads)],
    ["wide", wide ? advice : `not available: ${wideReason}`],
    ["memory", `an engine may take ${megabytes(facts.memory.maximum)} of ${megabytes(facts.memory.machine)}`],
  ]);
}

async function fileText(path: string, isJson: boolean): Promise<string> {
  const bytes = await readBytes(path);
  const { tensors, metadata } = tensorsOf(bytes, path);
  const sizes = tensors.map(({ shape }) => shape.reduce((size, length) => size * length, 1));
  const values = sizes.reduce((sum, size) => sum + size, 0);
  const description = descriptionOf(metadata);
  if (isJson) return JSON.stringify({ path, bytes: bytes.length, values, tensors, metadata, model: description });
  const rows = tensors.map(({ name, dtype, shape }, i) => [name, dtype, `[${shape.join(", ")}]`, thousands(sizes[i])]);
  const head = `${path}: ${counted(tensors.length, "tensor")}, ${counted(values, "value")}, ${counted(bytes.length, "byte")}`;
  const others = Object.entries(metadata).filter(([key]) => description === undefined || key !== METADATA_KEY);
  return [
    head,
    "",
    columnsOf([["tensor", "type", "shape", "values"], ...rows], [3]),
    ...(description === undefined ? [] : ["", columnsOf(modelRows(description))]),
    ...(others.length === 0 ? [] : ["", columnsOf(others.map(([key, value]) => [`metadata ${key}`, cut(value)]))]),
  ].join("\n");
}

const cut = (text: string): string => (text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text);

function modelRows({ input, target }: ModelDescription): string[][] {
  const inputs =
    input.kind === "images"
      ? `images of ${input.shape.join("x")}`
      : `${counted(input.columns.length, "column")}: ${listed(input.columns.map(({ name, kind }) => `${name} (${kind})`))}`;
  const outputs =
    target.task === "regression" ? "a number" : `${target.classes.length} classes: ${listed(target.classes)}`;
  return [
    ["inputs", inputs],
    ["predicts", `${target.name}, ${outputs}`],
  ];
}
