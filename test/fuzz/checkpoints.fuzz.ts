import { runCheckpointFuzz } from "../support/checkpoint-fuzz.js";

runCheckpointFuzz(undefined, 5000);
