// The service as an AWS Lambda function, behind a function URL or an HTTP API of API Gateway (payload format 2.0). STATE_FOLDER keeps
// what was learned: on a mounted EFS all instances share it, in /tmp (if it is not set) each instance has its own until it ends.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore } from "./file-store.js";
import { createService } from "./service.js";

export interface HttpEvent {
  rawPath: string;
  requestContext: { http: { method: string } };
  body?: string;
  isBase64Encoded?: boolean;
}

export interface HttpResult {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

const service = createService(new FileStore(process.env.STATE_FOLDER ?? join(tmpdir(), "lanegrad-models")));

export async function handler(event: HttpEvent): Promise<HttpResult> {
  const { rawPath, requestContext, body = "", isBase64Encoded = false } = event;
  const { status, ...rest } = await service({
    method: requestContext.http.method,
    path: rawPath,
    body: [Buffer.from(body, isBase64Encoded ? "base64" : "utf8")],
  });
  return { statusCode: status, ...rest };
}
