import { readFileSync } from "node:fs";
import { readIdx } from "lanegrad";
import type { ServiceResponse } from "../../examples/serverless/service.js";

const read = (file: string): Uint8Array =>
  readIdx(readFileSync(new URL(`../../data/fashion-mnist-subset/${file}-ubyte.gz`, import.meta.url))).data;

export interface Example {
  x: number[];
  label: number;
}

/** The first images of the training set, or of the test set. */
export function examples(count: number, split: "train" | "t10k" = "train"): Example[] {
  const pixels = read(`${split}-images-idx3`);
  const labels = read(`${split}-labels-idx1`);
  return Array.from({ length: count }, (_, i) => ({
    x: Array.from(pixels.subarray(i * 784, (i + 1) * 784), (value) => value / 255),
    label: labels[i],
  }));
}

/** One way to the service: in this process, or over what a platform has. */
export type Send = (method: string, path: string, body: string) => Promise<Pick<ServiceResponse, "status" | "body">>;

/** Teaches two models in turn and asks them: all the answers, which are the same wherever the service runs. */
export async function conversation(send: Send): Promise<string[]> {
  const answers: string[] = [];
  for (const [i, example] of examples(12).entries()) {
    const name = i % 3 === 0 ? "ada" : "bob";
    const { body } = await send("POST", `/models/${name}/learn`, JSON.stringify(example));
    answers.push(body);
  }
  for (const name of ["ada", "bob", "nobody"]) {
    const { body } = await send("POST", `/models/${name}/predict`, JSON.stringify(examples(1, "t10k")[0]));
    answers.push(body);
  }
  return answers;
}

const EXAMPLE = JSON.stringify(examples(1)[0]);
const withX = (x: unknown): string => JSON.stringify({ x, label: 1 });
const withLabel = (label: unknown): string => JSON.stringify({ x: Array(784).fill(0.5), label });

/** [what it is, status, method, path, body] of what is refused, and changes nothing. */
export const BAD_REQUESTS: readonly [string, number, string, string, string][] = [
  ["the root", 404, "POST", "/", EXAMPLE],
  ["another path", 404, "POST", "/models/ada/forget", EXAMPLE],
  ["a path below", 404, "POST", "/models/ada/learn/more", EXAMPLE],
  ["a name with dots", 404, "POST", "/models/../learn", EXAMPLE],
  ["an escaped name", 404, "POST", "/models/%2e%2e/learn", EXAMPLE],
  ["a name in capitals", 404, "POST", "/models/Ada/learn", EXAMPLE],
  ["a name of 65 letters", 404, "POST", `/models/${"a".repeat(65)}/learn`, EXAMPLE],
  ["another method", 405, "GET", "/models/ada/learn", ""],
  ["a method that writes", 405, "PUT", "/models/ada/learn", EXAMPLE],
  ["no body", 400, "POST", "/models/ada/learn", ""],
  ["half a body", 400, "POST", "/models/ada/learn", EXAMPLE.slice(0, -1)],
  ["a number", 400, "POST", "/models/ada/learn", "7"],
  ["null", 400, "POST", "/models/ada/learn", "null"],
  ["a body that is too large", 413, "POST", "/models/ada/learn", EXAMPLE + " ".repeat(65_536)],
  ["a body that is far too large", 413, "POST", "/models/ada/learn", EXAMPLE + " ".repeat(5_000_000)],
  ["no x", 422, "POST", "/models/ada/learn", '{ "label": 1 }'],
  ["an x that is text", 422, "POST", "/models/ada/learn", withX("0".repeat(784))],
  ["an x of text", 422, "POST", "/models/ada/learn", withX(Array(784).fill("0"))],
  ["an x of nulls", 422, "POST", "/models/ada/learn", withX(Array(784).fill(null))],
  ["a nested x", 422, "POST", "/models/ada/learn", withX([Array(784).fill(0)])],
  ["an empty x", 422, "POST", "/models/ada/learn", withX([])],
  ["a short x", 422, "POST", "/models/ada/learn", withX(Array(783).fill(0))],
  ["a long x", 422, "POST", "/models/ada/learn", withX(Array(785).fill(0))],
  ["more than a float32 holds", 422, "POST", "/models/ada/learn", withX(Array(784).fill(1e39))],
  ["what overflows on the way", 422, "POST", "/models/ada/learn", withX(Array(784).fill(3e38))],
  ["no label", 422, "POST", "/models/ada/learn", withLabel(undefined)],
  ["a label that is text", 422, "POST", "/models/ada/learn", withLabel("1")],
  ["a list of labels", 422, "POST", "/models/ada/learn", withLabel([1])],
  ["a negative label", 422, "POST", "/models/ada/learn", withLabel(-1)],
  ["half a label", 422, "POST", "/models/ada/learn", withLabel(1.5)],
  ["a label beyond the classes", 422, "POST", "/models/ada/learn", withLabel(10)],
  ["a short x to predict", 422, "POST", "/models/ada/predict", withX([1, 2])],
  ["a prediction that overflows", 422, "POST", "/models/ada/predict", withX(Array(784).fill(3e38))],
];
