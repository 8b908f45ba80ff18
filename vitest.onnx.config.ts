import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

/** `npm run test:onnx`: files of toONNX in ONNX Runtime, which is installed into a temporary folder, and in ONNX's own checker where it is. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/onnx/*.onnx.ts"], testTimeout: 300_000 },
});
