"""Checks with transformers and PEFT what trieval saves: the extended base, the adapter over it, the merged model.

    cargo build && python tests/golden/check_saved.py target/debug/trieval

Makes a small random checkpoint per family, runs tests/it/pretrained.toml on it, and compares logits in f32: those of
PEFT's adapted model with those of the merged folder, and the tokens of the saved tokenizer with the base's.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

ROOT = pathlib.Path(__file__).parents[2]
TRIEVAL = sys.argv[1]
COMMON = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=256, initializer_range=0.1)
FAMILIES = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(head_dim=8, tie_word_embeddings=True), "llama3"),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=False), "llama3"),
    "llama": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=True), "llama2"),
}
worst = 0.0
for family, (model_class, config_class, extra, tokenizer_name) in FAMILIES.items():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(ROOT / "tests/golden/tokenizers" / tokenizer_name)
        torch.manual_seed(0)
        model = model_class(config_class(vocab_size=len(tokenizer) + 3, **COMMON, **extra))
        model.save_pretrained(scratch / "base")
        tokenizer.save_pretrained(scratch / "base")
        run = scratch / "run"
        subprocess.run([TRIEVAL, "run", ROOT / "tests/it/pretrained.toml", "--out", run, "--set",
                        f"model.decoder.path={scratch / 'base'}"], check=True, capture_output=True)
        step = lambda name: next((run / "steps" / name).iterdir())
        extended, trained = step("model.decoder"), step("train.supervised")
        saved, tokenizer = (AutoTokenizer.from_pretrained(path) for path in (extended, scratch / "base"))
        assert saved("red it's 42")["input_ids"] == tokenizer("red it's 42")["input_ids"], family
        ids = torch.tensor([saved.encode("red chair") + saved.encode("<a_3><b_1>", add_special_tokens=False)])
        assert ids.max() >= len(tokenizer), (family, ids)
        load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        with torch.no_grad():
            base = load(extended)(ids).logits
            adapted = PeftModel.from_pretrained(load(extended), trained / "adapter")(ids).logits
            merged = load(trained / "model")(ids).logits
        rows = json.loads((trained / "adapter/adapter_config.json").read_text())["trainable_token_indices"]
        difference = (adapted - merged).abs().max().item()
        moved = (adapted - base).abs().max().item()
        worst = max(worst, difference)
        print(f"{family}: adapted - merged {difference:.1e}, adapted - base {moved:.1e}, trained rows {sorted(rows)}")
        assert difference < 1e-4 < moved, family
print(f"largest difference {worst:.1e}")
