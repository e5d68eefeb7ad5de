"""Makes vectors of texts from the hidden states of the tiny decoders, as transformers computes them.

    python tests/golden/make_hidden_states.py     # writes tests/golden/hidden_states/{qwen3,qwen2,llama}/

Needs torch, transformers and tokenizers (made with 2.15.0, 5.23.0 and 0.23.3), and tests/golden/decoders, whose weights
it reads. The tokenizers differ in what they put around a text: nothing (qwen3), a token behind it (qwen2, as embedding
models of that family do), one before it (llama). All texts are one batch, padded on the right; padding is masked out.
The last entry of `output_hidden_states` lies behind the final norm.
"""
import json
import pathlib
import shutil

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
WORDS = "red blue sofa lamp ##s ##y oak table chair cord ##less drill a the 12 in . , - [ ] x".split()
TEXTS = ["red sofa", "cordless drills, 12 in.", "oak table", "a", "the red lamp - the blue chair", "unheard-of",
         "red " * 30]
FRAMES = {"qwen3": "$A", "qwen2": "$A <e>", "llama": "<s> $A"}

for family, frame in FRAMES.items():
    specials = ["<p>", "<u>", "<s>", "<e>"]
    vocab = {token: i for i, token in enumerate([*specials, *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="<u>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[(token, vocab[token]) for token in ("<s>", "<e>") if token in frame])
    folder = HERE / "hidden_states" / family
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))

    ids = [tokenizer.encode(text).ids for text in TEXTS]
    longest = max(map(len, ids))
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    batch = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    model = AutoModelForCausalLM.from_pretrained(HERE / "decoders" / family, dtype=torch.float32).eval()
    with torch.no_grad():
        hidden = model(batch, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    last = hidden[torch.arange(len(ids)), mask.sum(1) - 1]
    vectors = {name: torch.nn.functional.normalize(rows, dim=1).tolist() for name, rows in [("mean", mean), ("last", last)]}
    (folder / "vectors.json").write_text(json.dumps({"texts": TEXTS, "ids": ids, **vectors}))
    print(family, sum(p.stat().st_size for p in folder.iterdir()))
