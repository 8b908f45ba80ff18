export { gemm, useWork, workBytes } from "./gemm/gemm";
export { addProduct, addScaled, columnSums, fill, scale, sumOfSquares } from "./reductions";
export { elu, eluBackward, exponential, prelu, preluBackward, relu, reluBackward } from "./activations";
export { binaryCrossEntropy, softmaxCrossEntropy, squaredError } from "./losses";
export { adam, rmsprop, sgd } from "./optimizers";
export { normal, uniform } from "./random";
