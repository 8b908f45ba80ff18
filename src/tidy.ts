import { isArray, reading, show } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { isTensor, type Tensor, type TensorStorage, trackTensors } from "./tensor.js";

/**
 * Runs `fn` and disposes every tensor that its calls made (`tensor`, `zeros`, `clone`, `reshape`, `matmul`, `jacobian`), on whatever
 * engine, except those in what it returns: a tensor, or arrays and plain objects of them, nested as they like. Those belong to the
 * `tidy` around this one, if there is one. Layers, optimizers and losses keep what is theirs; a loss's gradient that is returned outlives
 * the tensor that it belongs to.
 *
 * Where `fn` throws, everything that it made is disposed. It is synchronous: a promise is an ArgumentError. A layer of your own that
 * makes tensors and keeps them has to make them outside.
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
    const storages = new Set([...kept].map(({ storage }) => storage));
    for (const tensor of made) {
      if (kept.has(tensor)) outer?.add(tensor);
      else disposeExcept(tensor, storages);
    }
  }
}

function disposeExcept(tensor: Tensor, kept: ReadonlySet<TensorStorage>): void {
  const { companion } = tensor;
  // a gradient goes by itself then, as every dropped tensor does
  if (companion !== undefined && [...kept].some((storage) => companion.holds(storage))) tensor.companion = undefined;
  tensor.dispose();
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";

function refuse(promise: PromiseLike<unknown>): never {
  // it finds its tensors disposed, which nobody waits to hear
  Promise.resolve(promise).catch(() => {});
  throw new ArgumentError("tidy: got a function that returns a promise, expected a synchronous one");
}

/** The tensors in arrays and plain objects, which may be deep or cyclic. */
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

/** An array or a plain object, of whatever realm. */
function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
