"""The decoder of `src/model/decoder.rs` in PyTorch: Qwen3's block (RMSNorm, q/k norm, rotary embedding,
grouped heads, SwiGLU), tied head. Shared by the peer programs of this folder; standard PyTorch throughout."""

import torch
import torch.nn.functional as F
from torch import nn


class Shape:
    def __init__(self, layers, width, heads, ffn, vocab, kv_heads=None, head_dim=None):
        self.layers, self.width, self.heads, self.ffn, self.vocab = layers, width, heads, ffn, vocab
        self.kv_heads = kv_heads or heads
        self.head_dim = head_dim or width // heads


def rotate(x, cos, sin):
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.input_norm, self.post_norm = nn.RMSNorm(s.width, 1e-6), nn.RMSNorm(s.width, 1e-6)
        self.q_norm, self.k_norm = nn.RMSNorm(s.head_dim, 1e-6), nn.RMSNorm(s.head_dim, 1e-6)
        self.q = linear(s.width, s.heads * s.head_dim)
        self.k = linear(s.width, s.kv_heads * s.head_dim)
        self.v = linear(s.width, s.kv_heads * s.head_dim)
        self.o = linear(s.heads * s.head_dim, s.width)
        self.gate, self.up, self.down = linear(s.width, s.ffn), linear(s.width, s.ffn), linear(s.ffn, s.width)

    def heads(self, x, cos, sin):
        s, (b, t, _) = self.s, x.shape
        q = self.q_norm(self.q(x).view(b, t, s.heads, s.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k(x).view(b, t, s.kv_heads, s.head_dim)).transpose(1, 2)
        v = self.v(x).view(b, t, s.kv_heads, s.head_dim).transpose(1, 2)
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def finish(self, x, seen):
        b, _, t, _ = seen.shape
        x = x + self.o(seen.transpose(1, 2).reshape(b, t, -1))
        h = self.post_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))

    def forward(self, x, cos, sin):
        q, k, v = self.heads(self.input_norm(x), cos, sin)
        gqa = self.s.heads != self.s.kv_heads
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=gqa))


class Decoder(nn.Module):
    def __init__(self, s, positions=2048, theta=10_000.0):
        super().__init__()
        self.s = s
        self.embed = nn.Embedding(s.vocab, s.width)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.layers))
        self.norm = nn.RMSNorm(s.width, 1e-6)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        inverse = theta ** (-torch.arange(0, s.head_dim, 2) / s.head_dim)
        angles = torch.outer(torch.arange(positions), inverse).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, ids):
        t = ids.shape[1]
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos[:t], self.sin[:t])
        return self.norm(x)

    def logits(self, hidden):
        return hidden @ self.embed.weight.T


class LowRank(nn.Module):
    """A frozen product and an adapter of rank `rank` beside it, as PEFT computes them."""

    def __init__(self, base, rank, dtype):
        super().__init__()
        self.base = base.to(dtype).requires_grad_(False)
        self.a = nn.Parameter(torch.empty(rank, base.in_features).uniform_(-1, 1) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.a), self.b) * 2.0


def adapt(model, rank, dtype):
    """Freezes a decoder in `dtype` and puts adapters beside all projections of its layers."""
    model.requires_grad_(False)
    model.embed.to(dtype)
    for block in model.blocks:
        for name in ("q", "k", "v", "o", "gate", "up", "down"):
            setattr(block, name, LowRank(getattr(block, name), rank, dtype))
    return model
