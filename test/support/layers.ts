import * as lg from "lanegrad";

/** A user's layer: y = g ⊙ x with one gain for each column; x and dy are tensors. */
export class Gain extends lg.Layer {
  readonly gain: lg.Parameter;
  #x: lg.Tensor | undefined;

  constructor(engine: lg.Engine, columns: number) {
    super();
    this.gain = { name: "gain", value: engine.zeros([columns]).fill_(1), grad: engine.zeros([columns]) };
  }

  override parameters(): lg.Parameter[] {
    return [this.gain];
  }

  override forward(x: lg.Input): lg.Tensor {
    this.#x = x as lg.Tensor;
    return this.#scaled(this.#x);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return this.#scaled(dy as lg.Tensor);
  }

  override backwardParams(dy: lg.Input): void {
    const upstream = (dy as lg.Tensor).data;
    const grad = this.gain.grad.data;
    this.#x!.data.forEach((value, i) => {
      grad[i % grad.length] += value * upstream[i];
    });
  }

  #scaled(t: lg.Tensor): lg.Tensor {
    const y = t.clone();
    const { data } = y;
    const gain = this.gain.value.data;
    for (let i = 0; i < data.length; i++) data[i] *= gain[i % gain.length];
    return y;
  }
}

/** A user's block: y = x + f(x), with layers inside. */
export class Residual extends lg.Layer {
  constructor(readonly inner: lg.Layer) {
    super();
  }

  override children(): [string, lg.Layer][] {
    return [["inner", this.inner]];
  }

  override parameters(): lg.Parameter[] {
    return this.inner.parameters().map((parameter) => ({ ...parameter, name: `inner.${parameter.name}` }));
  }

  override forward(x: lg.Input): lg.Tensor {
    return (x as lg.Tensor).clone().add_(this.inner.forward(x));
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return (dy as lg.Tensor).clone().add_(this.inner.backwardInput(dy));
  }

  override backwardParams(dy: lg.Input): void {
    this.inner.backwardParams(dy);
  }
}
