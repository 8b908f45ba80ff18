#!/usr/bin/env python3
"""State that passes between lanegrad and PyTorch, on PyTorch's side. README.md says what is in the files.

    interchange.py write DIR [--seed N]   writes nets of PyTorch's, and what PyTorch itself makes of these files
    interchange.py read DIR               reads lanegrad's files strictly, and prints what PyTorch has then

Needs torch alone: the format is read and written by its specification, https://github.com/huggingface/safetensors#format
"""

import argparse
import base64
import json
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

# the same nets as in interchange.test.ts
NETS = {
    "mlp": lambda: nn.Sequential(
        nn.Linear(5, 7),
        nn.PReLU(7),
        nn.BatchNorm1d(7),
        nn.Linear(7, 6, bias=False),
        nn.ELU(0.7),
        nn.Dropout(0.4),
        nn.Linear(6, 6),
        nn.LeakyReLU(0.2),
        nn.Linear(6, 3),
    ),
    "cnn": lambda: nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=2, padding=1),
        nn.PReLU(5),
        nn.BatchNorm2d(5, momentum=0.3),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(5, 4, (2, 1), bias=False),
        nn.BatchNorm2d(4, eps=1e-3),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    ),
    "nested": lambda: nn.Sequential(
        OrderedDict(
            body=nn.Sequential(nn.Linear(4, 6), nn.PReLU()),
            norm=nn.BatchNorm1d(6),
            head=nn.Sequential(OrderedDict(hidden=nn.Linear(6, 5), act=nn.ReLU(), out=nn.Linear(5, 2))),
        )
    ),
}
SAMPLES = {"mlp": [5], "cnn": [2, 9, 8], "nested": [4]}

# what a file holds its floats as; "mixed" is what half-precision training leaves, with BatchNorm in float32
VARIANTS = ["F32", "F64", "F16", "BF16", "mixed"]


def dump(path, state):
    """Writes tensors in the state's order: the format asks for no alignment, and readers must not need it."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in state.items():
        content = raw(tensor)
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def parse(path):
    """The tensors of a file that keeps to the format to the letter."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert content[8:9] == b"{", "the header does not begin with {"
    header, data = json.loads(content[8:start]), content[start:]
    metadata = header.pop("__metadata__", {})
    assert metadata.get("format") == "pt", f"the format is {metadata.get('format')}"
    state, position = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        size = torch.empty(0, dtype=dtype).element_size()
        assert begin == position, f"{name} begins at {begin}, not at {position}"
        assert (start + begin) % size == 0, f"{name} begins at {start + begin}, no multiple of {size}"
        state[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=dtype).reshape(entry["shape"])
        position = end
    assert position == len(data), f"{len(data)} bytes of data, {position} of them described"
    return state


def raw(tensor):
    return bytes(tensor.detach().flatten().view(torch.uint8).tolist())


def encode(state):
    return {name: base64.b64encode(raw(tensor)).decode() for name, tensor in state.items()}


def flat(tensor):
    return tensor.detach().flatten().tolist()


def trained(name):
    """A net whose slopes and statistics are no longer those of a new one."""
    net = NETS[name]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        y = net(torch.randn(8, *SAMPLES[name]) * 2 + 0.5)
        loss = (y - torch.randn_like(y)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def loaded(name, state):
    net = NETS[name]()
    net.load_state_dict(state, strict=True)
    return net


def forward(net, x):
    """In double precision, from the float32 state: the reference for every float32 forward."""
    return flat(net.double().eval()(x.double()))


def converted(net, variant):
    """The state with its floats in another type. Counters stay int64."""
    state = OrderedDict()
    for name, tensor in net.state_dict().items():
        is_norm = isinstance(net.get_submodule(name.rpartition(".")[0]), (nn.BatchNorm1d, nn.BatchNorm2d))
        dtype = DTYPES[variant if variant != "mixed" else "F32" if is_norm else "BF16"]
        state[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return state


def edges():
    """Numbers at which conversions go wrong, and random ones of every magnitude, in each type."""
    ties = [1 + 2.0**-24, 1 + 3 * 2.0**-24, 1 + 2.0**-24 + 2.0**-52, 1 + 3 * 2.0**-24 - 2.0**-52]
    subnormal = [2.0**-149, 2.0**-150, 2.0**-150 * (1 + 2.0**-52), 3 * 2.0**-150, 2.0**-126 - 2.0**-150, 5e-324]
    large = [(2 - 2.0**-23) * 2.0**127, (2 - 2.0**-24) * 2.0**127, (2 - 2.0**-24 - 2.0**-52) * 2.0**127, 1e300]
    special = [0.0, 65504.0, float("inf"), float("nan")] + ties + subnormal + large
    doubles = torch.tensor(special + [-value for value in special], dtype=torch.float64)
    wide = torch.randn(300, dtype=torch.float64) * 2.0 ** torch.randint(-152, 129, (300,), dtype=torch.float64)
    halves = torch.randint(-(2**15), 2**15, (600,), dtype=torch.int16)
    return {
        "F64": torch.cat([doubles, wide]),
        "F32": torch.randint(-(2**31), 2**31, (300,), dtype=torch.int64).to(torch.int32).view(torch.float32),
        "F16": halves.view(torch.float16),
        "BF16": halves.view(torch.bfloat16),
    }


def write(folder):
    nets = {}
    for name, shape in SAMPLES.items():
        net = trained(name)
        x = torch.randn(5, *shape)
        files = {}
        for variant in VARIANTS:
            state = converted(net, variant)
            dump(folder / f"{name}.{variant}.safetensors", state)
            copy = loaded(name, state)
            files[variant] = {"state": encode(copy.state_dict()), "y": forward(copy, x)}
        nets[name] = {"x": {"shape": list(x.shape), "data": flat(x)}, "files": files}
    weights = {}
    for dtype, values in edges().items():
        dump(folder / f"edges.{dtype}.safetensors", {"weight": values.reshape(1, -1)})
        layer = nn.Linear(len(values), 1, bias=False)
        layer.load_state_dict({"weight": values.reshape(1, -1)}, strict=True)
        weights[dtype] = encode(layer.state_dict())["weight"]
    expected = {"torch": torch.__version__, "nets": nets, "edges": weights}
    (folder / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")


def read(folder):
    answer = {}
    for name, x in json.loads((folder / "inputs.json").read_text()).items():
        state = parse(folder / f"{name}.safetensors")
        # load_state_dict converts types without a word
        for key, own in NETS[name]().state_dict().items():
            assert state[key].dtype == own.dtype, f"{name}: {key} is {state[key].dtype}, expected {own.dtype}"
        net = loaded(name, state)
        counts = {key: value.item() for key, value in net.state_dict().items() if value.dtype == torch.int64}
        floats = {key: value for key, value in net.state_dict().items() if key not in counts}
        y = forward(net, torch.tensor(x["data"]).reshape(x["shape"]))
        answer[name] = {"state": encode(floats), "counts": counts, "y": y}
    print(json.dumps(answer))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["write", "read"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    if options.command == "write":
        options.folder.mkdir(parents=True, exist_ok=True)
        write(options.folder)
    else:
        read(options.folder)
