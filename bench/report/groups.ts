import type { RunRow } from "../run.js";

/** Groups of rows that are shown together, in this order. */
export const GROUPS = ["step", "forward", "product", "convolution", "pass", "coldstart", "other"] as const;
export type Group = (typeof GROUPS)[number];

/** The group of a row, by its name and its work. */
export function groupOf({ name, work }: Pick<RunRow, "name" | "work">): Group {
  if (name.startsWith("step ")) return "step";
  if (name.startsWith("forward ")) return "forward";
  if (productOf(name) !== undefined || squareOf(name) !== undefined) return "product";
  if (convolutionOf(name) !== undefined) return "convolution";
  if (work !== undefined && "elements" in work && passOf(name) !== undefined) return "pass";
  return name === "cold start" ? "coldstart" : "other";
}

/** Where a row stands in its group: dense networks by optimizer and batch before the convolutional one; all others as they come. */
export function placeOf({ name }: Pick<RunRow, "name">): number {
  const [, network, optimizer, batch] = /^(?:step|forward) (cnn )?(?:(sgd|adam) )?batch (\d+)$/.exec(name) ?? [];
  if (batch === undefined) return 0;
  return Number(batch) + 1e6 * ((optimizer === "adam" ? 1 : 0) + (network === undefined ? 0 : 2));
}

interface Message {
  message: string;
  shape: string;
}

/** "product dW 784-256 batch 32", "product dW 4096-4096 cold batch 8" */
export function productOf(name: string): (Message & { batch: number }) | undefined {
  const [, message, shape, batch] = /^product (forward|dX|dW) (\S+(?: cold)?) batch (\d+)$/.exec(name) ?? [];
  return message === undefined ? undefined : { message, shape, batch: Number(batch) };
}

/** "product square 256" */
export function squareOf(name: string): number | undefined {
  const [, size] = /^product square (\d+)$/.exec(name) ?? [];
  return size === undefined ? undefined : Number(size);
}

/** "conv2d dX 3-64 32x32 3x3" */
export function convolutionOf(name: string): Message | undefined {
  const [, message, shape] = /^conv2d (forward|dX|dW) (.+)$/.exec(name) ?? [];
  return message === undefined ? undefined : { message, shape };
}

/** "prelu 256 batch 32", "maxPool2d 2x2 64x32x32 batch 16", "adam 256" */
export function passOf(name: string): { pass: string; shape: string } | undefined {
  const [, pass, shape] = /^(\S+(?: \dx\d)?) (.+)$/.exec(name) ?? [];
  return pass === undefined ? undefined : { pass, shape };
}

/** "step sgd batch 32", "step cnn sgd batch 16"; undefined for what is no dense network. */
export function stepOf(name: string): { optimizer: string; batch: number } | undefined {
  const [, optimizer, batch] = /^step (sgd|adam) batch (\d+)$/.exec(name) ?? [];
  return optimizer === undefined
    ? undefined
    : { optimizer: optimizer === "sgd" ? "SGD" : "Adam", batch: Number(batch) };
}
