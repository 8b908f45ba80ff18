import { runCheckpointFuzz } from "../support/checkpoint-fuzz.js";

runCheckpointFuzz(0, 200_000);
