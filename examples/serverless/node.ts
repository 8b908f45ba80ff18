import { createServer, type Server } from "node:http";
import type { Service } from "./service.js";

/** The service over node:http. A client that has not sent all of its request after `requestMilliseconds` is let go. */
export function createNodeServer(service: Service, { requestMilliseconds = 30_000 } = {}): Server {
  const options = {
    requestTimeout: requestMilliseconds,
    headersTimeout: requestMilliseconds,
    // how often Node looks for those: by default every 30 s, which would let them stay for as long again
    connectionsCheckingInterval: requestMilliseconds / 30,
  };
  return createServer(options, async (request, response) => {
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
