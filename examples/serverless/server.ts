// The service as a server of its own. PORT is where it listens; HOST is for whom, by default for this machine only (0.0.0.0: for
// everybody who can reach it); STATE_FOLDER keeps what was learned, which without one is gone when the process ends.
import { type AddressInfo, isIPv6 } from "node:net";
import { FileStore } from "./file-store.js";
import { createNodeServer } from "./node.js";
import { createService } from "./service.js";
import { MemoryStore } from "./store.js";

const { PORT = "8080", HOST, STATE_FOLDER } = process.env;
const store = STATE_FOLDER === undefined ? new MemoryStore() : new FileStore(STATE_FOLDER);

const server = createNodeServer(createService(store)).listen(Number(PORT), HOST ?? "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  const host = isIPv6(HOST ?? "") ? `[${HOST}]` : (HOST ?? "localhost");
  console.log(`http://${host}:${port}/models/NAME/predict and /learn, state in ${STATE_FOLDER ?? "memory"}`);
});
