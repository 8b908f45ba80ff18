// The service as a Cloudflare Worker. Workers run in many places at once and forget; each model therefore lives in a Durable Object of
// its own, which is in one place and keeps it.
import { createService, modelName, NOT_FOUND, type Service } from "./service.js";
import type { Snapshot, Store } from "./store.js";

/** What is used of a Durable Object's state. */
interface ObjectState {
  storage: {
    get(key: string): Promise<unknown>;
    put(key: string, value: unknown): Promise<void>;
    transaction<T>(work: (storage: ObjectState["storage"]) => Promise<T>): Promise<T>;
  };
}

interface Environment {
  MODELS: {
    idFromName(name: string): object;
    get(id: object): { fetch(request: Request): Promise<Response> };
  };
}

class ObjectStore implements Store {
  readonly #storage: ObjectState["storage"];

  constructor({ storage }: ObjectState) {
    this.#storage = storage;
  }

  async read(name: string): Promise<Snapshot | undefined> {
    return (await this.#storage.get(name)) as Snapshot | undefined;
  }

  write(name: string, snapshot: Snapshot): Promise<boolean> {
    return this.#storage.transaction(async (storage) => {
      const { revision } = ((await storage.get(name)) ?? { revision: 0 }) as Pick<Snapshot, "revision">;
      if (snapshot.revision !== revision + 1) return false;
      await storage.put(name, snapshot);
      return true;
    });
  }
}

export class ModelObject {
  readonly #service: Service;

  constructor(state: ObjectState) {
    this.#service = createService(new ObjectStore(state));
  }

  fetch(request: Request): Promise<Response> {
    return answer(this.#service, request);
  }
}

async function answer(service: Service, request: Request): Promise<Response> {
  const stream = request.body as (ReadableStream & AsyncIterableStream) | null;
  const { status, headers, body } = await service({
    method: request.method,
    path: new URL(request.url).pathname,
    body: stream === null ? [] : { [Symbol.asyncIterator]: () => stream.values({ preventCancel: true }) },
  });
  // drain the rest: a client may send all of it before it reads the answer
  await stream?.pipeTo(new WritableStream()).catch(() => {});
  return new Response(body, { status, headers });
}

/** A stream, as the DOM's types do not have it yet. */
interface AsyncIterableStream {
  values(options: { preventCancel: boolean }): AsyncIterator<Uint8Array>;
}

export default {
  async fetch(request: Request, { MODELS }: Environment): Promise<Response> {
    const name = modelName(new URL(request.url).pathname);
    if (name === undefined) return answer(async () => NOT_FOUND, request);
    return MODELS.get(MODELS.idFromName(name)).fetch(request);
  },
};
