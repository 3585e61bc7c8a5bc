"""Times heads on stored features in plain PyTorch, the other side of `vicha bench align`: gather of fp16 rows, two heads,
contrast, backward pass, fused AdamW. One JSON line."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width: int, factor: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.fc1, self.fc2 = nn.Linear(width, factor * width), nn.Linear(factor * width, width)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return x + F.dropout(self.fc2(F.gelu(self.fc1(self.norm(x)))), self.dropout, self.training)


class Head(nn.Module):
    def __init__(self, inputs: int, embed: int, blocks: int, factor: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.embed = nn.Linear(inputs, embed)
        self.blocks = nn.Sequential(*(Block(embed, factor, dropout) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.blocks(self.embed((x - self.mean) / self.deviation)).float(), dim=1)


def info_nce(image: Tensor, text: Tensor, scale: Tensor, groups: Tensor | None) -> Tensor:
    logits = scale * image @ text.t()
    if groups is None:  # only the pair itself: the shortest way there is
        index = torch.arange(len(image))
        return (F.cross_entropy(logits, index) + F.cross_entropy(logits.t(), index)) / 2
    target = (groups[:, None] == groups[None, :]).float()
    target /= target.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


def sigmoid(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor, groups: Tensor | None) -> Tensor:
    logits = scale * image @ text.t() + bias
    same = torch.eye(len(image), dtype=torch.bool) if groups is None else groups[:, None] == groups[None, :]
    return F.softplus(torch.where(same, -logits, logits)).sum() / len(image)


def stored(rows: int, width: int) -> Tensor:
    features = torch.empty(rows, width, dtype=torch.float16)
    for part in features.split(16384):
        part.copy_(torch.randn(part.shape))
    return features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loss", choices=["infonce", "sigmoid"], default="infonce")
    parser.add_argument("--pairs", type=int, default=65536)
    parser.add_argument("--image-width", type=int, default=512)
    parser.add_argument("--text-width", type=int, default=384)
    parser.add_argument("--embed-dim", type=int, default=512)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20, help="timed steps; 0: one epoch")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--captions", type=int, default=1, help="pairs that share a text; 1: no other positives")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the JSON line only (the default prints it indented)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    images = stored(args.pairs, args.image_width)
    texts = stored(-(-args.pairs // args.captions), args.text_width)
    image_head = Head(args.image_width, args.embed_dim, args.blocks)
    text_head = Head(args.text_width, args.embed_dim, args.blocks)
    log_scale = nn.Parameter(torch.tensor([1 / 0.07]).log())
    bias = nn.Parameter(torch.tensor([-10.0]))
    learned = [*image_head.parameters(), *text_head.parameters(), log_scale]
    if args.loss == "sigmoid":
        learned.append(bias)
    decayed, others = [p for p in learned if p.dim() > 1], [p for p in learned if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=1e-4, weight_decay=0.02, fused=True)

    def step(rows: Tensor) -> tuple[float, float]:
        start = time.perf_counter()
        text_rows = rows // args.captions
        image, text = images[rows].float(), texts[text_rows].float()
        groups = text_rows if args.captions > 1 else None
        with torch.no_grad():
            log_scale.clamp_(max=4.6052)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            a, b = image_head(image), text_head(text)
        if args.loss == "infonce":
            loss = info_nce(a, b, log_scale.exp(), groups)
        else:
            loss = sigmoid(a, b, log_scale.exp(), bias, groups)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - start
        value = loss.item()
        assert value == value, "loss is not finite"
        return seconds, value

    steps = args.steps or args.pairs // args.batch
    order = torch.randperm(args.pairs)
    seconds: list[float] = []
    for i in range(args.warmup + steps):
        begin = i * args.batch % (args.pairs // args.batch * args.batch)
        taken, last = step(order[begin : begin + args.batch])
        if i >= args.warmup:
            seconds.append(taken)
    rate = args.batch * steps / sum(seconds)
    result = {
        "task": "align",
        "loss": args.loss,
        "samples_per_s": round(rate, 1),
        "seconds_per_step": round(statistics.median(seconds), 5),
        "best_seconds": round(min(seconds), 5),
        "seconds_per_million": round(1e6 / rate, 1),
        "last_loss": round(last, 4),
        "batch": args.batch,
        "pairs": args.pairs,
        "embed_dim": args.embed_dim,
        "blocks": args.blocks,
        "steps": steps,
        "precision": args.precision,
        "threads": args.threads,
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
