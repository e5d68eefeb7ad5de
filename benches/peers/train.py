"""A training step in PyTorch, the peer of `trieval bench train`: same shape, batch and flags, written the
usual way (logits at every position; preference pairs by concatenating prompt and answer).

    python benches/peers/train.py --layers 6 --width 256 --heads 4 --ffn 768 --vocab 4096 --batch 32 \
        --prompt 0 --target 64 --threads 2
    python benches/peers/train.py --device cuda --dtype bf16 --lora 16

On a GPU `--dtype bf16` is autocast over f32 weights; with `--lora` the frozen weights are bf16 themselves. Prints one JSON
object. `peak_bytes` is the peak resident set less the resident set after imports and before the model exists, on a GPU the
most that tensors held; `cpu_ms_per_step` counts all threads."""

import argparse
import contextlib
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
                          ("batch", 32), ("prompt", 0), ("target", 64), ("negatives", 0), ("threads", 1), ("steps", 12),
                          ("head-dim", 0), ("lora", 0)]:
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()

    import torch
    import torch.nn.functional as F
    from decoder import Decoder, Shape, adapt

    torch.set_num_threads(a.threads)
    torch.manual_seed(17)
    torch.ones(2, 2) @ torch.ones(2, 2)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = resident("VmRSS")

    shape = Shape(a.layers, a.width, a.heads, a.ffn, a.vocab, a.kv_heads or None, a.head_dim or None)
    model = Decoder(shape, positions=a.prompt + a.target + 1)
    if a.lora:
        model = adapt(model, a.lora, torch.bfloat16 if a.dtype == "bf16" else torch.float32)
    model = model.to(a.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01, fused=True)
    on_gpu = a.device == "cuda"
    precision = lambda: torch.autocast("cuda", torch.bfloat16) if on_gpu and a.dtype == "bf16" else contextlib.nullcontext()
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
        return tokens[:, :seq].to(a.device), labels.to(a.device)

    reference = torch.full((rows,), -8.3 * a.target, device=a.device)

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
        with precision():
            loss = loss_of(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
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
        "tokens_per_s": rows * seq / ms * 1e3,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else resident("VmHWM") - before,
        "parameters": sum(p.numel() for p in model.parameters()), "loss": loss, "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
