import * as lg from "lanegrad";
import { train } from "./program.mjs";

console.log(JSON.stringify(await train(lg)));
