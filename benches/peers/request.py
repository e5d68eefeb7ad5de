"""A beam request in PyTorch, the peer of `benches/request.rs`: a prompt of 64 tokens, 50 beams, 4 tokens, keys
and values cached per beam and re-ordered, log-softmax and top-k over the whole vocabulary.

    python benches/peers/request.py --vocab 32000 --threads 1

Prints one JSON object."""

import argparse
import json
import statistics
import time

parser = argparse.ArgumentParser()
for name, default in [("layers", 6), ("width", 256), ("heads", 4), ("ffn", 768), ("vocab", 32000), ("context", 64),
                      ("beams", 50), ("tokens", 4), ("threads", 1), ("repeats", 15)]:
    parser.add_argument("--" + name, type=int, default=default)
a = parser.parse_args()

import torch
import torch.nn.functional as F
from decoder import Decoder, Shape

torch.set_num_threads(a.threads)
torch.manual_seed(17)
model = Decoder(Shape(a.layers, a.width, a.heads, a.ffn, a.vocab), positions=a.context + a.tokens).eval()


def forward(ids, caches, start):
    x = model.embed(ids)
    end = start + ids.shape[1]
    for i, block in enumerate(model.blocks):
        q, k, v = block.heads(block.input_norm(x), model.cos[start:end], model.sin[start:end])
        if caches[i] is not None:
            k, v = torch.cat((caches[i][0], k), 2), torch.cat((caches[i][1], v), 2)
        caches[i] = (k, v)
        x = block.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=ids.shape[1] > 1))
    return model.norm(x[:, -1])


@torch.inference_mode()
def request(prompt):
    caches = [None] * a.layers
    hidden = forward(prompt, caches, 0)
    scores = torch.zeros(1)
    for step in range(a.tokens):
        log_probs = model.logits(hidden).log_softmax(-1) + scores[:, None]
        scores, best = log_probs.flatten().topk(a.beams)
        parents, tokens = best // a.vocab, best % a.vocab
        if step + 1 < a.tokens:
            caches = [(k[parents], v[parents]) for k, v in caches]
            hidden = forward(tokens[:, None], caches, a.context + step)
    return scores


prompt = torch.randint(a.vocab, (1, a.context))
wall, cpu = [], []
for i in range(a.repeats + 3):
    w, c = time.perf_counter(), time.process_time()
    request(prompt)
    if i >= 3:
        wall.append((time.perf_counter() - w) * 1e3)
        cpu.append((time.process_time() - c) * 1e3)
print(json.dumps({"vocab": a.vocab, "ms": statistics.median(wall), "cpu_ms": statistics.median(cpu)}))
