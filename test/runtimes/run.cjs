const lg = require("lanegrad");

import("./program.mjs").then(async ({ train }) => {
  const { Linear } = await import("lanegrad");
  // an instance of the one must be an instance of the other
  if (Linear !== lg.Linear) throw new Error("require and import give different classes");
  const { checkWorker } = await import("./in-worker.mjs");
  await checkWorker(lg);
  console.log(JSON.stringify(await train(lg)));
});
