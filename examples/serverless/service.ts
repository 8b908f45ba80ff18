import { ArgumentError, ShapeError } from "lanegrad";
import { DivergedError, Model } from "./model.js";
import type { Snapshot, Store } from "./store.js";

/** What the handlers for each platform make of their requests. */
export interface ServiceRequest {
  method: string;
  path: string;
  /** In pieces, which are not read further than a body may go. */
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What they make their answers of. */
export interface ServiceResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type Service = (request: ServiceRequest) => Promise<ServiceResponse>;

const PATH = /^\/models\/([a-z0-9-]{1,64})\/(predict|learn)$/;
export const MAXIMUM_BODY = 65_536;
/** If more are needed, too many processes write to the store at once. */
const TRIES = 10;

/** A request that is answered with this status, and changes nothing. */
class RequestError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** The model's name in a path; undefined where there is nothing at the path. */
export const modelName = (path: string): string | undefined => PATH.exec(path)?.[1];

/**
 *     POST /models/NAME/predict   { "x": [numbers] }              -> { "label", "probabilities", "revision" }
 *     POST /models/NAME/learn     { "x": [numbers], "label": 3 }  -> { "loss", "revision" }
 *
 * Each name is a model of its own (of a user, say), which is there from the start; its revision counts the examples that it has
 * learned. A request that is refused is answered with { "error" }, and changes nothing.
 */
export function createService(store: Store): Service {
  const model = new Model();
  const inTurn = createTurns();

  const read = async (name: string): Promise<Snapshot> =>
    (await store.read(name)) ?? { weights: model.initial, revision: 0 };

  async function predict(name: string, { x }: Example) {
    const { weights, revision } = await read(name);
    return { ...model.predict(weights, x), revision };
  }

  async function learn(name: string, { x, label }: Example) {
    for (let i = 0; i < TRIES; i++) {
      const before = await read(name);
      const { weights, loss } = model.learn(before.weights, x, label as number);
      const revision = before.revision + 1;
      if (await store.write(name, { weights, revision })) return { loss, revision };
    }
    throw new RequestError(503, "others are teaching this model: try again", { "retry-after": "1" });
  }

  async function answer(name: string, action: string, { method, body }: ServiceRequest): Promise<object> {
    if (method !== "POST") throw new RequestError(405, `got ${method}, expected POST`, { allow: "POST" });
    const example = readExample(await readBody(body));
    return action === "predict" ? predict(name, example) : inTurn(name, () => learn(name, example));
  }

  return async (request) => {
    const [, name, action] = PATH.exec(request.path) ?? [];
    if (name === undefined) return NOT_FOUND;
    try {
      return json(200, await answer(name, action, request));
    } catch (error) {
      const { status, message, headers } = asRequestError(error);
      return json(status, { error: message }, headers);
    }
  };
}

/** In one process the examples for a model wait for each other; those for different models do not. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(name) ?? Promise.resolve()).then(work);
    const settled = turn.catch(() => {});
    last.set(name, settled);
    try {
      return await turn;
    } finally {
      if (last.get(name) === settled) last.delete(name);
    }
  };
}

interface Example {
  x: number[];
  /** For the model to check. */
  label: unknown;
}

async function readBody(body: ServiceRequest["body"]): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let size = 0;
  let text = "";
  try {
    for await (const piece of body) {
      size += piece.length;
      if (size > MAXIMUM_BODY) throw new RequestError(413, `the body is larger than ${MAXIMUM_BODY} bytes`);
      text += decoder.decode(piece, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError(400, "the body cannot be read: it ends early, or is no UTF-8");
  }
}

function readExample(text: string): Example {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new RequestError(400, "the body is no JSON");
  }
  if (typeof body !== "object" || body === null) throw new RequestError(400, "the body is no JSON object");
  const { x, label } = body as { x?: unknown; label?: unknown };
  if (!Array.isArray(x) || !x.every((value) => typeof value === "number" && Number.isFinite(Math.fround(value)))) {
    throw new RequestError(422, "x: expected an array of numbers that are finite as float32");
  }
  return { x, label };
}

/** An error from lanegrad is the request's fault if it is about its values; otherwise, for weights that do not load for instance, it is ours. */
function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof ShapeError || error instanceof ArgumentError || error instanceof DivergedError) {
    return new RequestError(422, error.message);
  }
  console.error(error);
  return new RequestError(500, "something is wrong here, not with the request");
}

const json = (status: number, value: object, headers: Record<string, string> = {}): ServiceResponse => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(value),
});

/** The answer where there is no model. */
export const NOT_FOUND = json(404, { error: "nothing here: try /models/NAME/predict or /models/NAME/learn" });
