import { checkBoolean, checkOptions, showShape } from "./checks.js";
import { ArgumentError, ShapeError } from "./errors.js";
import { checkSameEngine, checkTensor, handOut, newTensor, sameShape, type Tensor } from "./tensor.js";

/** How `matmul` takes its operands, and where the result goes. */
export interface MatmulOptions {
  /** Multiplies by the transpose of a, which is [k, m] then; default false. */
  transposeA?: boolean;
  /** Multiplies by the transpose of b, which is [n, k] then; default false. */
  transposeB?: boolean;
  /** Where the result goes, [m, n], neither a nor b; default: a new tensor. */
  out?: Tensor;
  /** Adds to `out` instead of overwriting it; default false. */
  accumulate?: boolean;
}

const OPTIONS = ["transposeA", "transposeB", "out", "accumulate"] as const;

/**
 * The matrix product a · b of [m, k] and [k, n], either of them transposed if wanted. Returns a new tensor [m, n], or `out`. Unless it
 * accumulates, `out` is never read, so it may hold anything.
 *
 * Throws ShapeError if the shapes do not fit, ArgumentError for a wrong option, an `out` that shares memory with a or b, or `accumulate` without
 * `out`, EngineError for tensors of different engines, StateError for a disposed one, MemoryError if there is no room.
 */
export function matmul(a: Tensor, b: Tensor, options?: MatmulOptions): Tensor {
  checkTensor(a, "matmul: a");
  checkTensor(b, "matmul: b");
  const { transposeA = false, transposeB = false, out, accumulate = false } = checkOptions(options, OPTIONS, "matmul");
  checkBoolean(transposeA, "matmul: transposeA");
  checkBoolean(transposeB, "matmul: transposeB");
  checkBoolean(accumulate, "matmul: accumulate");
  const { engine } = a;
  checkSameEngine(engine, b.engine, "matmul");
  const [m, k] = matrixShape(a, transposeA, "a");
  const [inner, n] = matrixShape(b, transposeB, "b");
  if (k !== inner) {
    const described = (t: Tensor, transposed: boolean): string =>
      showShape(t.shape) + (transposed ? " transposed" : "");
    throw new ShapeError(
      `matmul: got ${described(a, transposeA)} by ${described(b, transposeB)}: the inner sizes ${k} and ${inner} differ`,
    );
  }
  if (out === undefined && accumulate) throw new ArgumentError("matmul: accumulate: got no out to add to");
  if (out !== undefined) {
    checkTensor(out, "matmul: out");
    checkSameEngine(engine, out.engine, "matmul");
    if (!sameShape(out.shape, [m, n])) {
      throw new ShapeError(`matmul: out: got ${showShape(out.shape)}, expected ${showShape([m, n])}`);
    }
    if (out.memory === a.memory || out.memory === b.memory) {
      throw new ArgumentError("matmul: out: got a tensor that shares memory with a or b, expected another one");
    }
  }
  // nothing to add, and `out` must not count as written
  if (accumulate && k === 0) return out!;
  const offsetA = a.read();
  const offsetB = b.read();
  const target = out ?? handOut(newTensor(engine, [m, n]));
  const adds = accumulate && target.startSum();
  const offsetC = adds ? target.offset : target.overwrite();
  engine.ops.gemm(transposeA, transposeB, m, n, k, offsetA, a.shape[1], offsetB, b.shape[1], offsetC, n, 0, adds);
  return target;
}

function matrixShape(t: Tensor, transposed: boolean, what: string): [number, number] {
  if (t.shape.length !== 2) throw new ShapeError(`matmul: ${what}: got ${showShape(t.shape)}, expected two axes`);
  const [rows, columns] = t.shape;
  return transposed ? [columns, rows] : [rows, columns];
}
