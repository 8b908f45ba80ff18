// Convolution, image by image: by Winograd's method where it pays and the numbers allow it, else directly.
//
// Winograd's sums spread a NaN or an infinity over a patch, and overflow near the ends of float32. Weights and images that hold such
// numbers are convolved directly; finding them costs a pass over each.
//
// The scratch holds what all images share, for both methods, then one image, for the method that it takes.

import { NR } from "../gemm/sizes";
import { shareFrom, shareTo } from "../thread";
import * as window from "../window";
import {
  addImage,
  flipWeights,
  forwardImage,
  inputOfImage,
  prepareForward,
  spreadImage,
  tapsOfImage,
  unpackGradient,
} from "./direct";
import {
  biasBytes,
  copyBytes,
  depth,
  readGeometry,
  dyCopyBytes,
  gradientBytes,
  patchBytes,
  phaseBytes,
  tapBytes,
  weightBytes,
} from "./geometry";
import { hasFewChannels, inputFromPatches, patchGradientBytes } from "./patch-gradients";
import { isWinograd, staysBelow, TAME } from "./winograd/choice";
import { transformGradient } from "./winograd/gradients";
import { transformWeights } from "./winograd/weights";
import {
  addWinogradImage,
  winogradGradientBytes,
  winogradImage,
  winogradImageBytes,
  winogradRowBytes,
  winogradWeightBytes,
} from "./winograd/winograd";

export function conv2d(images: i32, sizes: usize, x: usize, weight: usize, bias: usize, y: usize, work: usize): void {
  readGeometry(sizes);
  if (images == 0) return;
  const taps = work;
  const biasRows = taps + <usize>tapBytes();
  const u = biasRows + <usize>biasBytes();
  const isFast = isWinograd() && staysBelow(TAME, window.outChannels * depth, weight);
  const image = u + (isFast ? <usize>winogradWeightBytes() : 0);
  const size = window.channels * window.height * window.width;
  prepareForward(taps, bias, biasRows);
  if (isFast) transformWeights(window.outChannels, window.channels, false, weight, u);
  for (; images > 0; images--) {
    if (isFast && staysBelow(TAME, size, x)) {
      winogradImage(
        window.channels,
        window.outChannels,
        window.height,
        window.width,
        window.paddingHeight,
        window.paddingWidth,
        window.outHeight,
        window.outWidth,
        x,
        u,
        bias,
        image,
        y,
      );
    } else {
      forwardImage(x, weight, taps, bias ? biasRows : 0, image, y);
    }
    x += (<usize>size) << 2;
    y += (<usize>(window.outChannels * window.outHeight * window.outWidth)) << 2;
  }
}

export function conv2dBackwardInput(images: i32, sizes: usize, dy: usize, weight: usize, dx: usize, work: usize): void {
  readGeometry(sizes);
  if (images == 0) return;
  const size = window.outChannels * window.outHeight * window.outWidth;
  const inputSize = window.channels * window.height * window.width;
  if (hasFewChannels() && !isWinograd()) {
    for (; images > 0; images--) {
      inputFromPatches(dy, weight, work, dx);
      dy += (<usize>size) << 2;
      dx += (<usize>inputSize) << 2;
    }
    return;
  }
  const taps = work;
  const flipped = taps + <usize>tapBytes();
  const u = flipped + <usize>weightBytes();
  const isFast = isWinograd() && staysBelow(TAME, window.outChannels * depth, weight);
  const image = u + (isFast ? <usize>winogradWeightBytes() : 0);
  const phase = image + <usize>dyCopyBytes();
  if (isFast) transformWeights(window.outChannels, window.channels, true, weight, u);
  else flipWeights(weight, flipped);
  let isFlipped = !isFast;
  const hasFiniteWeights = isFast || staysBelow(f32.MAX_VALUE, window.outChannels * depth, weight);
  for (; images > 0; images--) {
    if (isFast && staysBelow(TAME, size, dy)) {
      winogradImage(
        window.outChannels,
        window.channels,
        window.outHeight,
        window.outWidth,
        2 - window.paddingHeight,
        2 - window.paddingWidth,
        window.height,
        window.width,
        dy,
        u,
        0,
        image,
        dx,
      );
    } else if (!hasFiniteWeights) {
      spreadImage(dy, weight, dx);
    } else {
      // rare: an image with numbers that Winograd's method cannot take
      if (!isFlipped) flipWeights(weight, flipped);
      isFlipped = true;
      inputOfImage(dy, flipped, taps, image, phase, dx);
    }
    dy += (<usize>size) << 2;
    dx += (<usize>inputSize) << 2;
  }
}

export function conv2dBackwardWeight(
  images: i32,
  sizes: usize,
  x: usize,
  dy: usize,
  dweight: usize,
  accumulate: bool,
  work: usize,
): void {
  readGeometry(sizes);
  // what chooses the method is the whole convolution, whatever the share
  const isFast = isWinograd();
  const outSize = window.outChannels * window.outHeight * window.outWidth;
  const first = shareFrom(window.outChannels, NR);
  window.narrowOutChannels(shareTo(window.outChannels, NR) - first);
  if (window.outChannels <= 0) return;
  const firstDy = (<usize>(first * window.outHeight * window.outWidth)) << 2;
  dweight += (<usize>(first * depth)) << 2;
  if (images == 0) {
    if (!accumulate) memory.fill(dweight, 0, (<usize>(window.outChannels * depth)) << 2);
    return;
  }
  const taps = work;
  const gradient = taps + <usize>tapBytes();
  const u = gradient + <usize>gradientBytes();
  const image = u + (isFast ? <usize>winogradGradientBytes() : 0);
  const patches = image + <usize>copyBytes();
  const size = window.channels * window.height * window.width;
  tapsOfImage(taps);
  // how many images took each method so far: the first one overwrites
  let fast = 0;
  let direct = 0;
  for (; images > 0; images--) {
    if (isFast && staysBelow(TAME, size, x) && staysBelow(TAME, outSize, dy))
      addWinogradImage(x, dy + firstDy, image, u, fast++ > 0);
    else addImage(x, dy + firstDy, taps, image, patches, gradient, direct++ > 0);
    x += (<usize>size) << 2;
    dy += (<usize>outSize) << 2;
  }
  if (fast > 0) transformGradient(window.outChannels, window.channels, u, dweight, accumulate);
  if (direct > 0) unpackGradient(gradient, dweight, accumulate || fast > 0);
}

export function conv2dWorkBytes(sizes: usize): f64 {
  readGeometry(sizes);
  const isFast = isWinograd();
  const shared = isFast ? winogradWeightBytes() : 0;
  const forward =
    biasBytes() +
    shared +
    max(
      copyBytes(),
      isFast ? winogradImageBytes(window.channels, window.outChannels, window.outHeight, window.outWidth) : 0,
    );
  const input =
    weightBytes() +
    shared +
    max(
      dyCopyBytes() + phaseBytes(),
      isFast ? winogradImageBytes(window.outChannels, window.channels, window.height, window.width) : 0,
    );
  const weight =
    gradientBytes() +
    (isFast ? winogradGradientBytes() : 0) +
    max(copyBytes() + patchBytes(), isFast ? winogradRowBytes() : 0);
  return <f64>max(tapBytes() + max(forward, max(input, weight)), hasFewChannels() ? patchGradientBytes() : 0);
}
