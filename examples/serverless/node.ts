import { createServer, type Server } from "node:http";
import type { Service } from "./service.js";

/** A client that takes longer to send its request is let go. */
const REQUEST_MILLISECONDS = 30_000;

/** The service over node:http. */
export function createNodeServer(service: Service): Server {
  return createServer({ requestTimeout: REQUEST_MILLISECONDS }, async (request, response) => {
    const { status, headers, body } = await service({
      method: request.method!,
      path: request.url!.split("?")[0],
      body: request.iterator({ destroyOnReturn: false }),
    });
    response.writeHead(status, headers).end(body);
    // what was too long to be read: a client may want to send all of it before it looks at the answer
    request.resume();
  });
}
