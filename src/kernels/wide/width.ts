import type { Kernels } from "../kernels.js";
import type { WasmKernels } from "../wasm.js";
import { type Clock, isWider } from "./calibration.js";

/** An attached debugger has V8 compile kernels again, without the flag. This is how often we check that they are still wide. */
const LOOK_EVERY_MS = 2000;
/** Multiplications of a product that takes hundreds of times as long as reading the clock. */
const LARGE = 1 << 20;

/** Chooses the tiles of one engine's widened kernels: the wide ones as long as the kernels are wide. The bits are the same either way. */
export class Width {
  readonly kernels: WasmKernels;
  /** Whether the wide tiles are in effect. */
  isWide = false;
  readonly #now: Clock;
  #nextLook = Number.NEGATIVE_INFINITY;

  constructor(kernels: WasmKernels, now: Clock = () => performance.now()) {
    this.kernels = kernels;
    this.#now = now;
  }

  /** Whether the kernels are wide, measured now; chooses the tiles. */
  look(): boolean {
    this.#nextLook = this.#now() + LOOK_EVERY_MS;
    this.isWide = isWider((together, turns) => this.kernels.calibrate(together, turns), this.#now);
    this.kernels.useWide(this.isWide);
    return this.isWide;
  }

  #lookNowAndThen(): void {
    if (this.#now() >= this.#nextLook) this.look();
  }

  /** The kernels, with a look before large products and convolutions. */
  watched(): Kernels {
    const { gemm, conv2d, ...others } = this.kernels;
    return {
      ...others,
      gemm: (transposeA, transposeB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate) => {
        if (m * n * k >= LARGE) this.#lookNowAndThen();
        gemm(transposeA, transposeB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate);
      },
      conv2d: (images, window, x, weight, bias, y, work) => {
        this.#lookNowAndThen();
        conv2d(images, window, x, weight, bias, y, work);
      },
    };
  }
}
