import { createServer, type Server } from "node:http";
import type { Service } from "./service.js";

/** The service over node:http. A client that has not sent all of its request after `requestMilliseconds` is let go. */
export function createNodeServer(service: Service, { requestMilliseconds = 30_000 } = {}): Server {
  const options = {
    requestTimeout: requestMilliseconds,
    headersTimeout: requestMilliseconds,
    // Node checks for those every 30 s by default, which would let them stay twice as long
    connectionsCheckingInterval: requestMilliseconds / 30,
  };
  return createServer(options, async (request, response) => {
    const { status, headers, body } = await service({
      method: request.method!,
      path: request.url!.split("?")[0],
      body: request.iterator({ destroyOnReturn: false }),
    });
    response.writeHead(status, headers).end(body);
    // drain what was too long: a client may send all of it before it reads the answer
    request.resume();
  });
}
