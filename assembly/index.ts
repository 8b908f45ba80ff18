export { gemm, useWork, workBytes } from "./gemm/gemm";
export { addScaled, columnSums, fill } from "./reductions";
export { prelu, preluBackward, relu, reluBackward } from "./activations";
export { softmaxCrossEntropy } from "./losses";
export { adam, sgd } from "./optimizers";
export { normal, uniform } from "./random";
