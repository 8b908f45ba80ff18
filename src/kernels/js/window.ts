/** What the sizes of a convolution or a pool lead to. */
export class WindowGeometry {
  channels = 0;
  height = 0;
  width = 0;
  outChannels = 0;
  kernelHeight = 0;
  kernelWidth = 0;
  strideHeight = 0;
  strideWidth = 0;
  paddingHeight = 0;
  paddingWidth = 0;
  outHeight = 0;
  outWidth = 0;

  /** Taps of the kernel: rows of a patch matrix. */
  get taps(): number {
    return this.channels * this.kernelHeight * this.kernelWidth;
  }

  /** Outputs of a plane: columns of a patch matrix. */
  get outputs(): number {
    return this.outHeight * this.outWidth;
  }
}

/** One object for all calls: nothing is allocated in a steady loop. */
const geometry = /* @__PURE__ */ new WindowGeometry();

/** The sizes at an address, as an index. The result is good until the next call. */
export function windowAt(i32: Int32Array, window: number): WindowGeometry {
  geometry.channels = i32[window];
  geometry.height = i32[window + 1];
  geometry.width = i32[window + 2];
  geometry.outChannels = i32[window + 3];
  geometry.kernelHeight = i32[window + 4];
  geometry.kernelWidth = i32[window + 5];
  geometry.strideHeight = i32[window + 6];
  geometry.strideWidth = i32[window + 7];
  geometry.paddingHeight = i32[window + 8];
  geometry.paddingWidth = i32[window + 9];
  const { height, kernelHeight, strideHeight, paddingHeight, width, kernelWidth, strideWidth, paddingWidth } = geometry;
  geometry.outHeight = Math.floor((height + 2 * paddingHeight - kernelHeight) / strideHeight) + 1;
  geometry.outWidth = Math.floor((width + 2 * paddingWidth - kernelWidth) / strideWidth) + 1;
  return geometry;
}
