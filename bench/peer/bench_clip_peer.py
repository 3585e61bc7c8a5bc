"""Times a plain Pillow + PyTorch loop from JPEG files to CLIP picture embeddings (ViT-B/32 shape, random weights): reads
the files of a folder, OpenAI's preprocessing, the tower in eager fp32. One JSON line, as `vicha bench clip-image`."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.ln_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width))
        h = self.fc(self.ln_2(x))
        return x + self.out(h * torch.sigmoid(1.702 * h))


class VisionTower(nn.Module):
    def __init__(self, size: int = 224, patch: int = 32, width: int = 768, layers: int = 12, embed: int = 512) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, patch, patch, bias=False)
        self.cls = nn.Parameter(torch.randn(width) * 0.02)
        self.pos = nn.Parameter(torch.randn((size // patch) ** 2 + 1, width) * 0.02)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, width // 64) for _ in range(layers))
        self.proj = nn.Parameter(torch.randn(width, embed) * width**-0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], 1) + self.pos
        x = self.ln_pre(x)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


def preprocess(path: Path, size: int = 224) -> Tensor:
    """OpenAI's: the short side to `size`, the centre cropped, RGB, normalised."""
    image = Image.open(path)
    width, height = image.size
    short = min(width, height)
    image = image.resize((int(size * width / short), int(size * height / short)), Image.Resampling.BICUBIC)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    image = image.crop((left, top, left + size, top + size)).convert("RGB")
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
    return pixels.sub_(MEAN).div_(STD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of JPEG files (vicha bench clip-image --folder)")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true", help="print the JSON line only (the default prints it indented)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    files = sorted(p for p in args.folder.iterdir() if p.suffix in (".jpg", ".jpeg"))
    if not files:
        parser.error(f"no JPEG files in {args.folder}")
    model = VisionTower().eval()

    def embed(count: int) -> tuple[float, Tensor]:
        start, rows = time.perf_counter(), []
        for begin in range(0, count, args.batch):
            batch = [preprocess(files[i % len(files)]) for i in range(begin, min(count, begin + args.batch))]
            rows.append(model(torch.stack(batch)))
        return time.perf_counter() - start, torch.cat(rows)

    with torch.inference_mode():
        embed(args.batch)  # warm
        seconds, rows = embed(args.images)
        assert rows.isfinite().all() and rows.shape == (args.images, 512)
        pixels = torch.randn(args.batch, 3, 224, 224)
        tower = []
        for _ in range(3):
            start = time.perf_counter()
            model(pixels)
            tower.append(time.perf_counter() - start)
        start = time.perf_counter()
        for path in files:
            preprocess(path)
        reading = (time.perf_counter() - start) / len(files)
    result = {
        "task": "clip-image",
        "model": "ViT-B/32",
        "images_per_s": round(args.images / seconds, 2),
        "seconds": round(seconds, 3),
        "images": args.images,
        "prepare_ms": round(1e3 * reading, 2),
        "tower_images_per_s": round(args.batch / min(tower), 2),
        "batch": args.batch,
        "files": len(files),
        "precision": "fp32",
        "threads": args.threads,
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "torch": torch.__version__,
        "pillow": Image.__version__,
    }
    print(json.dumps(result, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
