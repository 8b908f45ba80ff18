// The service as a server of its own. PORT is where it listens; STATE_FOLDER keeps what was learned, which without one is gone when the
// process ends.
import type { AddressInfo } from "node:net";
import { FileStore } from "./file-store.js";
import { createNodeServer } from "./node.js";
import { createService } from "./service.js";
import { MemoryStore } from "./store.js";

const { PORT = "8080", STATE_FOLDER } = process.env;
const store = STATE_FOLDER === undefined ? new MemoryStore() : new FileStore(STATE_FOLDER);

const server = createNodeServer(createService(store)).listen(Number(PORT), () => {
  const { port } = server.address() as AddressInfo;
  console.log(`http://localhost:${port}/models/NAME/predict and /learn, state in ${STATE_FOLDER ?? "memory"}`);
});
