/**
 * The functions of a build, given as text, that may be widened to 256 bits (src/kernels/wide), by their indices: those with two stores that
 * might lie beside each other, and without a shuffle, beside which V8 13.6 gets them wrong, or an integer extension, at which it may
 * abort.
 */
export function widenable(wat) {
  const functions = wat.split(/^ \(func /m).slice(1);
  const isWidenable = (code) =>
    (code.match(/v128\.store\b/g)?.length ?? 0) >= 2 &&
    !/i8x16\.(shuffle|swizzle|relaxed_swizzle)|\.ext(end|mul|add)_/.test(code);
  return functions.flatMap((code, index) => (isWidenable(code) ? [index] : []));
}
