/** Kernels can be widened on Node 24 and 26; asking the version and not the library, a refusal is a failure. */
export const canWiden = process.arch === "x64" && ["24", "26"].includes(process.versions.node.split(".")[0]);

/** Whether this run of the tests is one with widened kernels: engines have them where nothing else is said, and the kernels under test are they. */
export const isWideRun = process.env.LANEGRAD_WIDE === "1" && canWiden;
