/** package.json's `imports` say which file it is. */
declare module "#simd-module" {
  const module: WebAssembly.Module;
  export default module;
}
