import { runFileFuzz } from "../support/file-fuzz.js";

// a few seconds of `npm run test:fuzz`
runFileFuzz(5);
