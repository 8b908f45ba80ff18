import { runKills } from "../support/kills.js";

runKills(200);
