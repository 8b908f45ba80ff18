import { isArray, reading, show } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { isTensor, type Tensor, trackTensors } from "./tensor.js";

/**
 * Runs `fn`, returns its result, and disposes every tensor that its calls made on any engine (`tensor`, `zeros`, `clone`, `reshape`,
 * `matmul`, `jacobian`). Tensors in the result stay: a tensor, or arrays and plain objects of tensors, nested in any way. In a `tidy`
 * inside another, the outer one disposes those. What layers, optimizers and losses own stays theirs; a loss's gradient may be returned and
 * outlives the output that it belongs to.
 *
 * If `fn` throws, everything that it made is disposed. A layer of your own that keeps tensors must make them outside. Throws ArgumentError
 * for a function that returns a promise.
 */
export function tidy<T>(fn: () => T): T {
  if (typeof fn !== "function") throw new ArgumentError(`tidy: got ${show(fn)}, expected a function`);
  const made = new Set<Tensor>();
  const outer = trackTensors(made);
  let kept: ReadonlySet<Tensor> = new Set();
  try {
    const result = fn();
    kept = reading("tidy: what the function returned", () => {
      if (isThenable(result)) refuse(result);
      return tensorsIn(result);
    });
    return result;
  } finally {
    trackTensors(outer);
    for (const tensor of made) {
      if (kept.has(tensor)) outer?.add(tensor);
      else disposeExcept(tensor, kept);
    }
  }
}

function disposeExcept(tensor: Tensor, kept: ReadonlySet<Tensor>): void {
  const { companion } = tensor;
  // the gradient is then on its own, and freed when it is dropped
  if (companion !== undefined && [...kept].some((other) => companion.holds(other))) tensor.companion = undefined;
  tensor.dispose();
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";

function refuse(promise: PromiseLike<unknown>): never {
  // it will fail on disposed tensors, and nobody handles that
  Promise.resolve(promise).catch(() => {});
  throw new ArgumentError("tidy: got a function that returns a promise, expected a synchronous one");
}

/** The tensors in arrays and plain objects, however deep or cyclic. */
function tensorsIn(value: unknown): ReadonlySet<Tensor> {
  const found = new Set<Tensor>();
  const seen = new Set<unknown>();
  const left = [value];
  while (left.length > 0) {
    const item = left.pop();
    if (isTensor(item)) found.add(item);
    else if (isContainer(item) && !seen.has(item)) {
      seen.add(item);
      for (const inside of Object.values(item)) left.push(inside);
    }
  }
  return found;
}

/** An array or a plain object, of any realm. */
function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
