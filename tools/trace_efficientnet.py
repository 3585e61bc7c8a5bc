"""Saves EfficientNet-Lite0 as TorchScript, with the JSON that `vicha` wants beside it. Set-up only: no run needs Python.

usage: trace_efficientnet.py PACKAGE_FOLDER WEIGHTS.pth OUT.pt     PACKAGE_FOLDER holds efficientnet_lite_pytorch/

Pooled: the 1,280 numbers that its classifier reads. Patches: the map whose mean they are, so that heads trained on the
former read the latter just as well (init.heads). A third output is the map of 320 channels before the last convolution,
which holds the same in a quarter of the numbers: "patches": 2 in the JSON. At 224 pixels they are grids of 7 x 7.
"""

import json
import os
import sys

import torch

SIZE = 224


class Tower(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, pixels):
        net = self.net
        x = net._swish(net._bn0(net._conv_stem(pixels)))
        for block in net._blocks:
            x = block(x)
        last = net._swish(net._bn1(net._conv_head(x)))
        return last.mean((2, 3)), last, x


def save_alike(traced, out):
    """Without the paths of the sources, which `save` keeps for messages: features of a tower are told from those of
    another by its file's digest, and a network traced in another folder is the same tower."""
    whole = out + ".whole"
    traced.save(whole)
    reader = torch._C.PyTorchFileReader(whole)
    writer = torch._C.PyTorchFileWriter(out)
    for name in reader.get_all_records():
        # The last two the writer makes itself.
        if name.endswith(".debug_pkl") or name in ("version", ".data/serialization_id"):
            continue
        record = reader.get_record(name)
        writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    os.remove(whole)


def main(packages, weights, out):
    sys.path.insert(0, packages)
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(weights, weights_only=True))
    tower = Tower(net).eval()
    pixels = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # Freezing folds each normalisation into the convolution before it.
        traced = torch.jit.freeze(torch.jit.trace(tower, pixels))
        for ours, theirs in zip(traced(pixels), tower(pixels)):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    settings = {
        "image_size": SIZE,
        "resize": "exact",
        # TensorFlow's EfficientNet-Lite reads (sample - 127) / 128.
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "interpolation": "bicubic",
        "output": {"pooled": 0, "patches": 1},
    }
    # The JSON first: a network without it would be taken for finished.
    for path, write in (
        (os.path.splitext(out)[0] + ".json", lambda p: open(p, "w").write(json.dumps(settings, indent=1) + "\n")),
        (out, lambda p: save_alike(traced, p)),
    ):
        write(path + ".part")
        os.replace(path + ".part", path)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
