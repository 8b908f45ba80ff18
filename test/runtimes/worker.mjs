import * as lg from "lanegrad";
import simd from "lanegrad/kernels/simd.wasm";
import { train } from "./program.mjs";

export default {
  async fetch() {
    const result = await train(lg);
    const withModule = await train(lg, { module: simd });
    if (withModule.bits !== result.bits) throw new Error("a module of one's own gives other bits");
    return Response.json(result);
  },
};
