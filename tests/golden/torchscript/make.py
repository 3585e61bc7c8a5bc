"""Makes the archives of this folder, with torch 2.13.0: python make.py (beside it, ../library/clip must lie)."""
import pathlib
from typing import Dict, List, Optional

import torch
from torch import nn

here = pathlib.Path(__file__).parent


class Leaf(nn.Module):
    def __init__(self, weight=None):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        if weight is not None:
            self.linear.weight = weight  # shared with another module
        self.register_buffer("steps", torch.tensor(7))

    def forward(self, x):
        return self.linear(x) + self.steps


class Nested(nn.Module):
    """An attribute of every kind that TorchScript saves."""
    number: int
    names: List[str]
    table: Dict[str, int]
    tensors: List[torch.Tensor]
    maybe: Optional[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.number, self.real, self.flag, self.maybe, self.pair = 5, 1.5, True, None, (1, "x")
        self.names, self.table, self.tensors = ["a", "b"], {"x": 1}, [torch.ones(2)]
        self.whole, self.reals, self.flags = [1, 2, 3], [1.0, 2.0], [True]
        self.device, self.dtype = torch.device("cpu"), torch.float16
        self.plain = torch.zeros(3)  # neither parameter nor buffer
        self.a = Leaf()
        self.b = Leaf(self.a.linear.weight)
        self.same = self.a  # one module under two names
        self.layers = nn.Sequential(nn.Linear(2, 2).half(), nn.LayerNorm(2), nn.BatchNorm1d(2), nn.ReLU())
        self.transposed = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("wide", torch.tensor([1.0, 2.0], dtype=torch.float64))
        self.register_buffer("brain", torch.tensor([1.0, 2.0], dtype=torch.bfloat16))

    def forward(self, x):
        y = self.a(x) + self.b(x) + self.same(x) + self.number + self.real + len(self.names) + self.table["x"]
        y = y + self.tensors[0].sum() + self.pair[0] + self.whole[0] + self.reals[0] + self.plain.sum()
        if self.flag and self.maybe is None and self.flags[0]:
            y = y.to(self.dtype).to(self.device)
        return self.layers(y) + self.transposed.sum() + self.mask.sum() + self.wide.sum() + self.brain.sum()


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)

    def forward(self, x):
        y = self.ln_1(x)
        return x + self.attn(y, y, y, need_weights=False)[0]


class Tower(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.resblocks = nn.Sequential(Block(width, heads))

    def forward(self, x):
        return self.resblocks(x)


class Visual(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 8, 8, bias=False)
        self.class_embedding = nn.Parameter(s["visual.class_embedding"])
        self.positional_embedding = nn.Parameter(s["visual.positional_embedding"])
        self.ln_pre, self.ln_post = nn.LayerNorm(32), nn.LayerNorm(32)
        self.proj = nn.Parameter(s["visual.proj"])

    def forward(self, image):
        x = self.conv1(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, 32), x], 1) + self.positional_embedding
        return self.ln_post(self.ln_pre(x)[:, 0]) @ self.proj


class Clip(nn.Module):
    """As OpenAI's archives are: traced, fp16, with the names and weights of ../library/clip/clip_mini.openai.pt, of which
    the picture's layers, most of the text's and most of the vocabulary are left out."""

    def __init__(self, s):
        super().__init__()
        self.visual = Visual(s)
        self.transformer = Tower(24, 2)
        self.token_embedding = nn.Embedding(64, 24)
        self.positional_embedding = nn.Parameter(s["positional_embedding"])
        self.ln_final = nn.LayerNorm(24)
        self.text_projection = nn.Parameter(s["text_projection"])
        self.logit_scale = nn.Parameter(s["logit_scale"])
        self.register_buffer("vocab_size", torch.tensor(64))

    def forward(self, image, text):
        x = self.token_embedding(text) + self.positional_embedding
        x = self.ln_final(self.transformer(x.transpose(0, 1)).transpose(0, 1))[:, -1] @ self.text_projection
        return self.logit_scale.exp() * self.visual(image) @ x.t()


torch.manual_seed(5)
nested = torch.jit.script(Nested())
nested.save(here / "nested.pt")
torch.save(nested.state_dict(), here / "nested.state.pth")

state = torch.load(here / "../library/clip/clip_mini.openai.pt")
clip = Clip({name: tensor.float() for name, tensor in state.items()})
wanted = {name: tensor.float() for name, tensor in state.items() if name in clip.state_dict()}
wanted["token_embedding.weight"] = wanted["token_embedding.weight"][:64].clone()
wanted["vocab_size"] = torch.tensor(64)
clip.load_state_dict(wanted)
clip.eval().requires_grad_(False)
traced = torch.jit.trace(clip, (torch.zeros(1, 3, 24, 24), torch.zeros(1, 77, dtype=torch.int64)))
traced.half()
for name in "input_resolution", "context_length":  # plain numbers, which tracing drops
    traced._c._register_attribute(name, torch._C.IntType.get(), int(state[name]))
traced.save(here / "clip.pt")


class Holder(nn.Module):
    """Modules within modules, so that tensors get the dotted names of a state dict."""

    def forward(self, x):
        return x


def hold(state):
    """A module with these tensors as parameters."""
    top = Holder()
    for name, tensor in state.items():
        module = top
        *path, last = name.split(".")
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, Holder())
            module = getattr(module, part)
        module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
    return top


def whole_clip(width=64, embed=32, side=16, patch=8, vocabulary=600, context=77):
    """Every tensor of a CLIP of one layer a tower, under OpenAI's names. A head is 64 wide, as theirs are."""
    def layer(at):
        return {f"{at}.attn.in_proj_weight": torch.randn(3 * width, width) * 0.1,
                f"{at}.attn.in_proj_bias": torch.randn(3 * width) * 0.05,
                f"{at}.attn.out_proj.weight": torch.randn(width, width) * 0.1,
                f"{at}.attn.out_proj.bias": torch.randn(width) * 0.05,
                f"{at}.ln_1.weight": torch.ones(width), f"{at}.ln_1.bias": torch.zeros(width),
                f"{at}.mlp.c_fc.weight": torch.randn(width, width) * 0.1,
                f"{at}.mlp.c_fc.bias": torch.randn(width) * 0.05,
                f"{at}.mlp.c_proj.weight": torch.randn(width, width) * 0.1,
                f"{at}.mlp.c_proj.bias": torch.randn(width) * 0.05,
                f"{at}.ln_2.weight": torch.ones(width), f"{at}.ln_2.bias": torch.zeros(width)}

    state = {"visual.conv1.weight": torch.randn(width, 3, patch, patch) * 0.05,
             "visual.class_embedding": torch.randn(width) * 0.2,
             "visual.positional_embedding": torch.randn((side // patch) ** 2 + 1, width) * 0.1,
             "visual.ln_pre.weight": torch.ones(width), "visual.ln_pre.bias": torch.zeros(width),
             "visual.ln_post.weight": torch.ones(width), "visual.ln_post.bias": torch.zeros(width),
             "visual.proj": torch.randn(width, embed) * 0.2,
             "token_embedding.weight": torch.randn(vocabulary, width) * 0.2,
             "positional_embedding": torch.randn(context, width) * 0.05,
             "ln_final.weight": torch.ones(width), "ln_final.bias": torch.zeros(width),
             "text_projection": torch.randn(width, embed) * 0.2, "logit_scale": torch.tensor(3.0)}
    return state | layer("visual.transformer.resblocks.0") | layer("transformer.resblocks.0")


torch.manual_seed(6)
whole = torch.jit.trace(hold({name: tensor.half() for name, tensor in whole_clip().items()}), torch.zeros(1))
for name, number in ("input_resolution", 16), ("context_length", 77), ("vocab_size", 600):
    whole._c._register_attribute(name, torch._C.IntType.get(), number)
whole.save(here / "clip_whole.pt")
