import { checkBoolean, checkOptions, showShape } from "./checks.js";
import { ArgumentError, ShapeError } from "./errors.js";
import { checkSameEngine, checkTensor, handOut, newTensor, sameShape, type Tensor } from "./tensor.js";

export interface MatmulOptions {
  /** Read a [k, m] as its transpose. */
  transposeA?: boolean;
  /** Read b [n, k] as its transpose. */
  transposeB?: boolean;
  /** Where the result goes, [m, n]; a new tensor unless given. Neither a nor b. */
  out?: Tensor;
  /** Add to `out` instead of overwriting it. */
  accumulate?: boolean;
}

const OPTIONS = ["transposeA", "transposeB", "out", "accumulate"] as const;

/**
 * op(a) · op(b), [m, k] by [k, n], into a new tensor [m, n] or `out`, which is returned. Without `accumulate` `out` is never read.
 * Throws ShapeError where the shapes do not fit, ArgumentError where `out` shares memory with a or b or `accumulate` has no `out`,
 * EngineError for tensors of different engines.
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
    if (out.storage === a.storage || out.storage === b.storage) {
      throw new ArgumentError("matmul: out: got a tensor that shares memory with a or b, expected another one");
    }
  }
  // a sum over nothing: nobody has written `out`
  if (accumulate && k === 0) return out!;
  const offsetA = a.read();
  const offsetB = b.read();
  const target = out ?? handOut(newTensor(engine, [m, n]));
  const adds = accumulate && target.accumulates();
  const offsetC = adds ? target.storage.offset : target.overwrite();
  engine.ops.gemm(transposeA, transposeB, m, n, k, offsetA, a.shape[1], offsetB, b.shape[1], offsetC, n, 0, adds);
  return target;
}

function matrixShape(t: Tensor, transposed: boolean, what: string): [number, number] {
  if (t.shape.length !== 2) throw new ShapeError(`matmul: ${what}: got ${showShape(t.shape)}, expected two axes`);
  const [rows, columns] = t.shape;
  return transposed ? [columns, rows] : [rows, columns];
}
