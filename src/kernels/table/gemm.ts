import { bias, either, flag, input, type KernelDescription, output, size } from "./vocabulary.js";

export const gemm: KernelDescription = {
  layout: "product",
  formula: `
The product: C[m, n] = op(A)[m, k] · op(B)[k, n] + bias, or C += op(A) · op(B).
A is stored as [m, k], or as [k, m] with \`transposeA\`; B as [k, n], or as [n, k] with \`transposeB\`.
\`bias\` is a row of n added to every row; it is ignored when accumulating. With k = 0 the product is 0.`,
  arguments: {
    transposeA: flag,
    transposeB: flag,
    m: size,
    n: size,
    k: size,
    a: input([either("transposeA", "k", "m"), "lda"]),
    lda: size,
    b: input([either("transposeB", "n", "k"), "ldb"]),
    ldb: size,
    c: output(["m", "ldc"], { accumulate: "accumulate" }),
    ldc: size,
    bias: bias(["n"]),
    accumulate: flag,
  },
  shares: true,
};
