// Which functions V8 widens to 256 bits (Node 24 and 26, --experimental-wasm-revectorize), by exported kernel: the functions as the
// build names them, with the pairs of neighbouring stores that it merges (at least), and what does not widen with the reason. A function
// that binaryen inlines stands under the one that it was inlined into; what only the relaxed-simd build has is apart.

/** Exports that compute nothing. */
export const SETUP = ["memory", "isRelaxed", "useWork", "workBytes", "useTall", "useWide"];

export const WIDENING = {
  // passes over operands, in turns of four vectors
  fill: { widens: { "reductions/fillTurns": 2 } },
  scale: { widens: { "reductions/scaleTurns": 2 } },
  addScaled: { widens: { "reductions/addScaledTurns": 2 } },
  addProduct: { widens: { "reductions/addProductTurns": 2 } },
  relu: { widens: { "activations/reluTurns": 2 } },
  reluBackward: { widens: { "activations/reluBackwardTurns": 2 } },
  elu: { widens: { "activations/eluTurns": 2 } },
  eluBackward: { widens: { "activations/eluBackwardTurns": 2 } },
  exponential: { widens: { "activations/exponentialTurns": 2 } },
  squaredError: { widens: { "losses/squaredErrorTurns": 2 } },
  binaryCrossEntropy: { widens: { "losses/crossEntropyTurns": 2 } },
  sgd: { widens: { "optimizers/sgdTurns": 8 } },
  adam: { widens: { "optimizers/adamTurns": 4 } },
  rmsprop: { widens: { "optimizers/rmspropTurns": 4 } },
  dropout: { widens: { "random/threefry": 2, "random/dropoutTurns": 1 } },
  uniform: { widens: { "random/threefry": 2, "random/uniformTurns": 1 } },
  normal: { widens: { "random/threefry": 2, "random/normalTurns": 1 } },

  // rows and planes
  channelSums: { widens: { "reductions/sumColumns": 2, "reductions/blockSum": 1 } },
  prelu: { widens: { "activations/prelu": 4 } },
  preluBackward: {
    widens: {
      "activations/maskSlopeBias2": 4,
      "activations/maskSlope2": 3,
      "activations/maskBias2": 3,
      "activations/mask1": 4,
      "activations/backwardByRows": 2,
      "activations/maskRun": 3,
    },
    not: { "activations/mask1": "with one sum of two: the loop decides, and stores are in blocks of their own" },
  },
  batchNorm: {
    widens: { "normalization/planesStatistics": 2, "normalization/apply": 2 },
    not: { columns: "sums in double: conversions do not widen" },
  },
  normalize: { widens: { "normalization/apply": 2 } },
  batchNormBackward: {
    widens: { "normalization/planesGradientSums": 2, "normalization/batchNormBackward": 1 },
    not: { columns: "sums in double: conversions do not widen" },
  },
  sumOfSquares: { not: { sumOfSquares: "sums in double: conversions do not widen" } },
  softmaxCrossEntropy: { not: { exponentials: "rows are short: one vector at a time" } },
  maxPool2d: { not: { halveRows: "even and odd columns part by shuffles" } },
  maxPool2dBackward: { not: { unhalveRow: "shuffles double every gradient" } },

  calibrate: { widens: { "gemm/tiles/additions": 6 } },

  // products
  gemm: {
    widens: {
      "gemm/tiles/rows1x8": 1,
      "gemm/tile/tilesOfRows": 2,
      "gemm/tiles/rows4x8": 4,
      "gemm/tiles/rows4x16": 8,
      "gemm/tiles/rows1x32": 4,
      "gemm/tiles/rows1x64": 8,
      "gemm/tiles/dots2x4": 8,
      "gemm/tiles/dots1x8": 8,
      "gemm/gemm/blocked": 3,
      "gemm/gemm/gemm": 4,
    },
    relaxed: { "gemm/tiles/rows6x8": 6, "gemm/tiles/rows6x16": 12 },
    not: {
      "gemm/tiles/dots2x4half": "one of two sums: for code that is not wide",
      "gemm/tiles/dots1x4": "two sums in blocks of their own: for code that is not wide, and for the last columns",
      "gemm/tiles/dots2x2": "likewise",
      "gemm/pack/packRows": "transposes by shuffles, and stores nothing beside anything",
      "gemm/pack/unpackRows": "likewise",
    },
  },
  conv2d: {
    widens: { "convolution/patches/packPatches": 2 },
    not: {
      "convolution/winograd/transformPlanes":
        "four tiles at a time; eight gain 3 % when wide and lose as much when not",
      "convolution/winograd/transformOutput": "even and odd columns come together by shuffles",
    },
  },
  conv2dBackwardInput: {
    not: {
      "convolution/winograd/transformPlanes": "see conv2d; its products and patches are those of gemm and conv2d",
    },
  },
  conv2dBackwardWeight: {
    not: { "convolution/winograd/transformGradientRows": "points are apart; its products are those of gemm" },
  },
  conv2dWorkBytes: { not: { conv2dWorkBytes: "computes sizes" } },
};
