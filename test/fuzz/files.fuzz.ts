import { runFileFuzz } from "../support/file-fuzz.js";

runFileFuzz();
