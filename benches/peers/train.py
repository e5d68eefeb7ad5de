"""A training step in PyTorch, the peer of `trieval bench train`: same shape, batch and flags, written the
usual way (logits at every position; preference pairs by concatenating prompt and answer).

    python benches/peers/train.py --layers 6 --width 256 --heads 4 --ffn 768 --vocab 4096 --batch 32 \
        --prompt 0 --target 64 --threads 2

Prints one JSON object. `peak_bytes` is the peak resident set less the resident set after imports and before
the model exists; `cpu_ms_per_step` counts all threads."""

import argparse
import json
import statistics
import time


def resident(key):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser()
    for name, default in [("layers", 6), ("width", 256), ("heads", 4), ("kv-heads", 0), ("ffn", 768), ("vocab", 4096),
                          ("batch", 32), ("prompt", 0), ("target", 64), ("negatives", 0), ("threads", 1), ("steps", 12)]:
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()

    import torch
    import torch.nn.functional as F
    from decoder import Decoder, Shape

    torch.set_num_threads(a.threads)
    torch.manual_seed(17)
    torch.ones(2, 2) @ torch.ones(2, 2)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = resident("VmRSS")

    model = Decoder(Shape(a.layers, a.width, a.heads, a.ffn, a.vocab, a.kv_heads or None), positions=a.prompt + a.target + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    prompt = max(a.prompt, 1)
    seq = prompt + a.target - 1
    rows = a.batch * (1 + a.negatives)
    generator = torch.Generator().manual_seed(5)

    def batch():
        tokens = torch.randint(a.vocab, (rows, prompt + a.target), generator=generator)
        if a.negatives:
            tokens[:, :prompt] = tokens[:a.batch, :prompt].repeat(1 + a.negatives, 1)
        labels = tokens[:, 1:].clone()
        labels[:, :prompt - 1] = -100
        return tokens[:, :seq], labels

    reference = torch.full((rows,), -8.3 * a.target)

    def loss_of(ids, labels):
        logits = model.logits(model.hidden(ids))
        if not a.negatives:
            return F.cross_entropy(logits.view(-1, a.vocab), labels.reshape(-1), ignore_index=-100)
        mask = labels != -100
        chosen = labels.masked_fill(~mask, 0).unsqueeze(2)
        log_probs = torch.gather(logits.log_softmax(-1), 2, chosen).squeeze(2)
        rewards = 0.1 * ((log_probs * mask).sum(-1) - reference)
        margins = rewards[:a.batch].repeat(a.negatives) - rewards[a.batch:]
        return -F.logsigmoid(margins).mean()

    def step():
        ids, labels = batch()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    wall, cpu = [], []
    for i in range(a.steps + 3):
        w, c = time.perf_counter(), time.process_time()
        loss = step()
        if i >= 3:
            wall.append((time.perf_counter() - w) * 1e3)
            cpu.append((time.process_time() - c) * 1e3)
    ms = statistics.median(wall)
    print(json.dumps({
        "ms_per_step": ms, "cpu_ms_per_step": statistics.median(cpu), "examples_per_s": a.batch / ms * 1e3,
        "tokens_per_s": rows * seq / ms * 1e3, "peak_bytes": resident("VmHWM") - before,
        "parameters": sum(p.numel() for p in model.parameters()), "loss": loss, "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
