// POST /predict with { "x": 784 numbers in 0..1 } answers { "label", "probabilities", "epoch" }.
import { createServer } from "node:http";
import * as lg from "lanegrad";

const MOST_BYTES = 65_536;

/** `model` has a net and the epoch that its weights are from. */
export function createPredictionServer(model) {
  return createServer(async (request, response) => {
    const { status, body } = await answer(model, request);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    // drain what was too long
    request.resume();
  });
}

async function answer({ net, epoch }, request) {
  if (request.method !== "POST" || request.url !== "/predict") return { status: 404, body: { error: "POST /predict" } };
  try {
    const { x } = JSON.parse(await textOf(request));
    const scores = lg.predict(net, [x]);
    return { status: 200, body: { label: lg.argmax(scores), probabilities: [...lg.softmax(scores)], epoch } };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof lg.LanegradError)) throw error;
    return { status: 400, body: { error: error.message } };
  }
}

async function textOf(request) {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.length > MOST_BYTES) throw new SyntaxError(`more than ${MOST_BYTES} bytes`);
  }
  return text;
}
