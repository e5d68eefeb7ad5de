"""Makes one tiny random checkpoint per decoder family, with the logits that transformers computes from it.

    python tests/golden/make_decoders.py     # writes tests/golden/decoders/{qwen3,qwen2,llama}/

Needs torch and transformers (made with 2.15.0 and 5.23.0). Qwen3 is one f32 file with a tied head; Qwen2 lies in
shards, untied, f16; Llama has a stretched rotary embedding and bf16 weights. Logits are computed in f32.
"""
import json
import pathlib
import shutil

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

HERE = pathlib.Path(__file__).parent / "decoders"
COMMON = dict(
    vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
)
ROPE = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16)
FAMILIES = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**COMMON, head_dim=8, tie_word_embeddings=True), torch.float32, "5GB"),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**COMMON, tie_word_embeddings=False), torch.float16, "4KB"),
    "llama": (LlamaForCausalLM, LlamaConfig(**COMMON, rope_parameters=ROPE, tie_word_embeddings=False),
              torch.bfloat16, "5GB"),
}
IDS = [[1, 7, 31, 4, 44, 9, 2, 17, 30, 5, 6, 47], [1, 3, 3, 40, 12, 8, 25, 33, 21, 0, 11, 19]]

for name, (model_class, config, dtype, shard) in FAMILIES.items():
    torch.manual_seed(len(name))
    model = model_class(config)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.ndim == 1:  # norms and biases away from their constants
                value.add_(torch.randn_like(value) * 0.2)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    loaded = model_class.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = loaded(torch.tensor(IDS)).logits
    (folder / "logits.json").write_text(json.dumps({"ids": IDS, "logits": logits.tolist()}))
    print(name, sorted(p.name for p in folder.iterdir()), sum(p.stat().st_size for p in folder.iterdir()))
