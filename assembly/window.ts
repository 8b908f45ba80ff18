// The window of a convolution or a pool, which slides over planes: ten int32 at the address that a kernel is given, and the output's sizes.

export let channels: i32 = 0;
export let height: i32 = 0;
export let width: i32 = 0;
export let outChannels: i32 = 0;
export let kernelHeight: i32 = 0;
export let kernelWidth: i32 = 0;
export let strideHeight: i32 = 0;
export let strideWidth: i32 = 0;
export let paddingHeight: i32 = 0;
export let paddingWidth: i32 = 0;
export let outHeight: i32 = 0;
export let outWidth: i32 = 0;

export function readSizes(address: usize): void {
  channels = load<i32>(address);
  height = load<i32>(address, 4);
  width = load<i32>(address, 8);
  outChannels = load<i32>(address, 12);
  kernelHeight = load<i32>(address, 16);
  kernelWidth = load<i32>(address, 20);
  paddingHeight = load<i32>(address, 32);
  paddingWidth = load<i32>(address, 36);
  // a stride past the end does the same as one to the end
  strideHeight = min(load<i32>(address, 24), height + 2 * paddingHeight);
  strideWidth = min(load<i32>(address, 28), width + 2 * paddingWidth);
  outHeight = (height + 2 * paddingHeight - kernelHeight) / strideHeight + 1;
  outWidth = (width + 2 * paddingWidth - kernelWidth) / strideWidth + 1;
}

/** For a share of a convolution's output channels. */
export function narrowOutChannels(count: i32): void {
  outChannels = count;
}
