import * as lg from "lanegrad";
import { checkWorker } from "./in-worker.mjs";
import { train } from "./program.mjs";

await checkWorker(lg);
console.log(JSON.stringify(await train(lg)));
