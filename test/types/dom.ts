// With what the host has, a module, a signal and bytes are its own.
import * as lg from "lanegrad";

declare const net: lg.Layer;
declare const options: lg.FitOptions;

export async function use(): Promise<void> {
  lg.createEngine({ module: new WebAssembly.Module(new Uint8Array(8)) });
  options.signal = new AbortController().signal;
  // @ts-expect-error what merely looks like a signal is none
  options.signal = { aborted: false, reason: undefined, throwIfAborted() {} };

  const response = new Response(lg.save(net));
  const { metadata }: lg.LoadResult = lg.load(net, await response.arrayBuffer(), { strict: false });
  lg.load(net, lg.save(net, { metadata: { from: metadata.format } }));
  const images = lg.readIdx(await response.arrayBuffer());
  const values = lg.readIdx<Float32Array>(new Uint8Array(8)).data.length;
  lg.evaluate(net, { x: images.data, y: images.data, sampleShape: images.shape.slice(values) });
  new Blob([
    lg.save(net),
    lg.predict(net, [1, 2]),
    lg.readIdx(new Uint8Array(8)).data,
    lg.softmax(new Float32Array(3)),
  ]);
  await crypto.subtle.digest("SHA-256", lg.save(net));
}
