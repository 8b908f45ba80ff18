// scripts/onnx.proto -> src/formats/generated/onnx.ts: how each of ONNX's messages is written, over pbf's writer.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { compileRaw } from "pbf/compile";
import resolve from "resolve-protobuf-schema";

const FILE = "src/formats/generated/onnx.ts";
const HEAD = `// Written by scripts/onnx.mjs from scripts/onnx.proto.
import type { PbfWriter } from "pbf";
import type * as messages from "../onnx/messages.js";

`;

export async function writeOnnx() {
  const code = compileRaw(resolve.sync("scripts/onnx.proto"), { noRead: true });
  const text =
    HEAD + code.replace(/function write(\w+)\(obj, pbf\)/g, "function write$1(obj: messages.$1, pbf: PbfWriter): void");
  await mkdir("src/formats/generated", { recursive: true });
  const before = await readFile(FILE, "utf8").catch(() => "");
  if (before !== text) await writeFile(FILE, text);
}
