// Which functions V8 widens to 256 bits (Node 24 and 26, --experimental-wasm-revectorize), by exported kernel: the functions as the
// build names them, with the pairs of neighbouring stores that it merges (at least), and what does not widen with the reason. A function
// that binaryen inlines stands under the one that it was inlined into; what only the relaxed-simd build has is apart.

/** Exports that compute nothing. */
export const SETUP = ["memory", "isRelaxed", "useWork", "workBytes", "useShare", "useTall", "useWide"];

export const WIDENING = {
  // passes over operands, by strips of four vectors
  fill: { widens: { "reductions/fillStrips": 2 } },
  scale: { widens: { "reductions/scaleStrips": 2 } },
  addScaled: { widens: { "reductions/addScaledStrips": 2 } },
  addProduct: { widens: { "reductions/addProductStrips": 2 } },
  relu: { widens: { "activations/elementwise/reluStrips": 2 } },
  reluBackward: { widens: { "activations/elementwise/reluBackwardStrips": 2 } },
  elu: { widens: { "activations/elementwise/eluStrips": 2 } },
  eluBackward: { widens: { "activations/elementwise/eluBackwardStrips": 2 } },
  exponential: { widens: { "activations/elementwise/exponentialStrips": 2 } },
  squaredError: { widens: { "losses/squaredErrorStrips": 2 } },
  binaryCrossEntropy: { widens: { "losses/crossEntropyStrips": 2 } },
  sgd: { widens: { "optimizers/sgdStrips": 8 } },
  adam: { widens: { "optimizers/adamStrips": 4 } },
  rmsprop: { widens: { "optimizers/rmspropStrips": 4 } },
  dropout: { widens: { "random/threefry": 2, "random/dropoutStrips": 1 } },
  uniform: { widens: { "random/threefry": 2, "random/uniformStrips": 1 } },
  normal: { widens: { "random/threefry": 2, "random/normalStrips": 1 } },

  // rows and planes
  channelSums: { widens: { "reductions/sumColumns": 2, "reductions/blockSum": 1 } },
  prelu: { widens: { "activations/prelu/prelu": 4 } },
  preluBackward: {
    widens: {
      "activations/prelu-backward/maskRows<activations/prelu-backward/TwoRows,activations/prelu-backward/BothSums>": 4,
      "activations/prelu-backward/maskRows<activations/prelu-backward/TwoRows,activations/prelu-backward/SlopeSum>": 3,
      "activations/prelu-backward/maskRows<activations/prelu-backward/TwoRows,activations/prelu-backward/BiasSum>": 3,
      "activations/prelu-backward/maskRows<activations/prelu-backward/OneRow,activations/prelu-backward/BothSums>": 3,
      "activations/prelu-backward/backwardByRows": 2,
      "activations/prelu-backward/maskRun": 3,
    },
    not: {
      "activations/prelu-backward/maskRows<activations/prelu-backward/OneRow,activations/prelu-backward/AnySums>":
        "the loop decides, and stores are in blocks of their own",
    },
  },
  batchNorm: {
    widens: { "normalization/planes/planesStatistics": 2, "normalization/apply/applyForward": 2 },
    not: { columns: "sums in double: conversions do not widen" },
  },
  normalize: { widens: { "normalization/apply/applyForward": 2 } },
  batchNormBackward: {
    widens: { "normalization/planes/planesGradientSums": 2, "normalization/batch-norm/batchNormBackward": 1 },
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
      "gemm/tile/tilesOf": 3,
      "gemm/vector/alongRows": 2,
      "gemm/tiles/adds1x16": 2,
      "gemm/tiles/adds4x8": 4,
      "gemm/tiles/adds4x16": 8,
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
    widens: {
      "convolution/patches/packPatches": 2,
      "convolution/winograd/inputs/combineRows": 4,
      "convolution/winograd/outputs/sumPoints": 4,
    },
    not: {
      "convolution/winograd/inputs/combineRow": "even and odd columns part by shuffles",
      "convolution/winograd/outputs/placeTiles": "they come together by shuffles",
    },
  },
  conv2dBackwardInput: {
    not: {
      "convolution/patch-gradients/addPatches": "for a stride of 2 by shuffles; its product is that of gemm",
      "convolution/direct/spreadPhase":
        "numbers are a stride apart; its products and patches are those of gemm and conv2d",
    },
  },
  conv2dBackwardWeight: {
    widens: { "convolution/winograd/gradients/spreadTiles": 16 },
    not: { "convolution/winograd/gradients/splitRow": "shuffles; its products are those of gemm" },
  },
  conv2dWorkBytes: { not: { conv2dWorkBytes: "computes sizes" } },
};
