"""Makes tiny random encoders of further families, with the vectors that sentence-transformers computes from them.

    python tests/golden/make_library_encoders.py     # writes tests/golden/encoders/{t5,t5-gated,distilbert,modernbert,nomic,jina}/

Needs torch, transformers and sentence-transformers (made with 2.15.0, 5.24.0 and 6.2.0). Weights are bf16 and computed in
f32. The folders are what sentence-transformers saves, but for two: `nomic` has the configuration of its authors, and
`jina`, whose network transformers does not have, is written out here after ALiBi (arXiv 2108.12409) and the paper of the
model (arXiv 2310.19923). `vectors.json` holds texts, tokens and vectors; that of `distilbert` also those of all poolings.
"""
import json
import math
import pathlib
import shutil
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (AutoTokenizer, DistilBertConfig, DistilBertModel, ModernBertConfig, ModernBertModel, NomicBertConfig,
                          NomicBertModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel)
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "encoders"
WORDS = "red blue sofa lamp s y oak table cord less drill a the 12 in . , - x".split()
TEXTS = ["red sofa", "cordless drills, 12 in.", "", "oak table", "unheard-of", "the blue lamp, a red table " * 12]
LIMIT = 80


def wordpiece():
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = {token: i for i, token in enumerate([*names, *WORDS, "##s", "##y", "##less"])}
    out = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    out.normalizer = normalizers.BertNormalizer(lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    roles = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], names))
    return PreTrainedTokenizerFast(tokenizer_object=out, model_max_length=LIMIT, **roles)


def unigram():
    letters = sorted(set("".join(WORDS)))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [("▁" + word, -2.0 - i / 10) for i, word in enumerate(WORDS)]
    pieces += [("▁", -3.0)] + [(letter, -6.0 - i / 10) for i, letter in enumerate(letters)]
    out = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    out.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    out.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=out, model_max_length=LIMIT, pad_token="<pad>", eos_token="</s>",
                                   unk_token="<unk>")


def spread(model):
    """Weights far from zero and norms away from one, all of them bf16."""
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn_like(value) * 0.3 + (1.0 if value.ndim == 1 else 0.0))
            value.copy_(value.to(torch.bfloat16).to(torch.float32))
    return model.eval()


def halve(folder):
    """Weights on disk in bf16, which is what they are."""
    for path in folder.rglob("model.safetensors"):
        tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})


def tidy(folder):
    for path in folder.rglob("model.safetensors"):
        path.chmod(0o644)
    for path in folder.rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":")))
    for name in ("README.md", "special_tokens_map.json", ".gitattributes"):
        (folder / name).unlink(missing_ok=True)
    halve(folder)


def write_vectors(folder, ids, vectors, **more):
    golden = {"texts": TEXTS, "ids": ids, "vectors": rounded(vectors), **more}
    (folder / "vectors.json").write_text(json.dumps(golden, separators=(",", ":")))


def rounded(rows):
    return [[round(x, 6) for x in row] for row in rows]


def dense_of(inner, outer, bias, activation):
    return spread(Dense(inner, outer, bias=bias, activation_function=activation))


def write(name, model, tokenizer, pooling="mean", dense=(), normalize=True, poolings=()):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as plain:
        spread(model).save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        transformer = Transformer(plain)
    width = transformer.get_embedding_dimension()
    modules = [transformer, Pooling(width, pooling_mode=pooling), *dense, *([Normalize()] if normalize else [])]
    whole = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="cosine" if normalize else "dot")
    whole.save_pretrained(str(folder), create_model_card=False)
    whole = SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32})
    ids = [whole.tokenizer(text, truncation=True)["input_ids"] for text in TEXTS]
    more = {}
    for mode in poolings:
        pooled = SentenceTransformer(modules=[whole[0], Pooling(width, pooling_mode=mode)], device="cpu")
        more[mode] = rounded(pooled.encode(TEXTS).tolist())
    tidy(folder)
    write_vectors(folder, ids, whole.encode(TEXTS).tolist(), **({"poolings": more} if more else {}))
    return folder


def slopes(heads):
    """Of ALiBi, as its authors continue them where heads are no power of two."""
    power = 2 ** math.floor(math.log2(heads))
    own = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return own if power == heads else own + slopes(2 * power)[0::2][: heads - power]


class Jina(torch.nn.Module):
    def __init__(self, rows, width, inner, layers, heads):
        super().__init__()
        linear, norm = torch.nn.Linear, torch.nn.LayerNorm
        shape = {"embeddings.word_embeddings": torch.nn.Embedding(rows, width),
                 "embeddings.token_type_embeddings": torch.nn.Embedding(2, width), "embeddings.LayerNorm": norm(width, 1e-12)}
        for i in range(layers):
            at = f"encoder.layer.{i}."
            shape |= {at + f"attention.self.{part}": linear(width, width) for part in ("query", "key", "value")}
            shape |= {at + "attention.output.dense": linear(width, width), at + "attention.output.LayerNorm": norm(width, 1e-12),
                      at + "mlp.gated_layers": linear(width, 2 * inner, bias=False), at + "mlp.wo": linear(inner, width),
                      at + "mlp.layernorm": norm(width, 1e-12)}
        self.parts = torch.nn.ModuleDict({key.replace(".", "/"): value for key, value in shape.items()})
        self.layers, self.heads = layers, heads

    def tensors(self):
        return {key.removeprefix("parts.").replace("/", "."): value.detach() for key, value in self.named_parameters()}

    def forward(self, ids):
        part = lambda name, x: self.parts[name.replace(".", "/")](x)
        n = len(ids)
        at = torch.arange(n)
        bias = -torch.tensor(slopes(self.heads))[:, None, None] * (at[None, :] - at[:, None]).abs()
        x = part("embeddings.word_embeddings", torch.tensor(ids))
        x = part("embeddings.LayerNorm", x + part("embeddings.token_type_embeddings", torch.zeros(n, dtype=torch.long)))
        for i in range(self.layers):
            layer = f"encoder.layer.{i}."
            q, k, v = (part(layer + f"attention.self.{name}", x).view(n, self.heads, -1).transpose(0, 1)
                       for name in ("query", "key", "value"))
            seen = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias, -1) @ v
            mixed = part(layer + "attention.output.dense", seen.transpose(0, 1).reshape(n, -1))
            x = part(layer + "attention.output.LayerNorm", mixed + x)
            gate, value = part(layer + "mlp.gated_layers", x).chunk(2, -1)
            wide = part(layer + "mlp.wo", torch.nn.functional.gelu(gate) * value)
            x = part(layer + "mlp.layernorm", wide + x)
        return x


def write_jina(base):
    folder = HERE / "jina"
    shutil.rmtree(folder, ignore_errors=True)
    # Three heads: their slopes are no plain powers.
    model = spread(Jina(28, 12, 10, 2, 3))
    shutil.copytree(base, folder)
    (folder / "config_of_transformers.json").unlink()
    save_file(model.tensors(), folder / "model.safetensors", metadata={"format": "pt"})
    programs = {"AutoConfig": "jinaai/jina-bert-implementation--configuration_bert.JinaBertConfig",
                "AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"}
    config = {"_name_or_path": "jinaai/jina-bert-implementation", "architectures": ["JinaBertForMaskedLM"],
              "attention_probs_dropout_prob": 0.0, "attn_implementation": None, "auto_map": programs, "classifier_dropout": None,
              "emb_pooler": "mean", "feed_forward_type": "geglu", "gradient_checkpointing": False, "hidden_act": "gelu",
              "hidden_dropout_prob": 0.1, "hidden_size": 12, "initializer_range": 0.02, "intermediate_size": 10,
              "layer_norm_eps": 1e-12, "max_position_embeddings": 8192, "model_max_length": 8192, "model_type": "bert",
              "num_attention_heads": 3, "num_hidden_layers": 2, "pad_token_id": 0, "position_embedding_type": "alibi",
              "torch_dtype": "bfloat16", "transformers_version": "4.26.0", "type_vocab_size": 2, "use_cache": True,
              "vocab_size": 28}
    (folder / "config.json").write_text(json.dumps(config))
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    pooling["embedding_dimension"] = 12
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    own = AutoTokenizer.from_pretrained(folder)
    ids = [own(text, truncation=True, max_length=LIMIT)["input_ids"] for text in TEXTS]
    with torch.no_grad():
        vectors = [torch.nn.functional.normalize(model(row).mean(0), dim=0).tolist() for row in ids]
    tidy(folder)
    write_vectors(folder, ids, vectors)


def hub_config_of_nomic(folder):
    """The configuration as the model's authors wrote it."""
    config = {"activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0,
              "auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
              "bos_token_id": None, "causal": False, "dense_seq_output": True, "embd_pdrop": 0.0, "eos_token_id": None,
              "fused_bias_fc": True, "fused_dropout_add_ln": True, "initializer_range": 0.02, "layer_norm_epsilon": 1e-12,
              "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "model_type": "nomic_bert",
              "n_embd": 16, "n_head": 2, "n_inner": 12, "n_layer": 2, "n_positions": 8192, "pad_vocab_size_multiple": 4,
              "parallel_block": False, "parallel_block_tied_norm": False, "prenorm": False, "qkv_proj_bias": False,
              "reorder_and_upcast_attn": False, "resid_pdrop": 0.0, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
              "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
              "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "summary_activation": None,
              "summary_first_dropout": 0.0, "summary_proj_to_labels": True, "summary_type": "cls_index",
              "summary_use_proj": True, "torch_dtype": "float32", "transformers_version": "4.34.0", "type_vocab_size": 2,
              "use_cache": True, "use_flash_attn": True, "use_rms_norm": False, "use_xentropy": True, "vocab_size": 28}
    # The test reads both.
    (folder / "config.json").rename(folder / "config_of_transformers.json")
    (folder / "config.json").write_text(json.dumps(config))


torch.manual_seed(7)
words, pieces = wordpiece(), unigram()
relative = dict(vocab_size=48, d_model=12, d_kv=5, d_ff=20, num_layers=2, num_heads=3)
write("t5", T5EncoderModel(T5Config(**relative)), pieces, dense=[dense_of(12, 8, False, torch.nn.Identity())])
write("t5-gated", T5EncoderModel(T5Config(**relative, feed_forward_proj="gated-gelu", tie_word_embeddings=False)), pieces,
      normalize=False)
distilled = DistilBertConfig(vocab_size=len(words), dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=90)
base = write("distilbert", DistilBertModel(distilled), words, pooling="max", dense=[dense_of(16, 6, True, torch.nn.GELU())],
             poolings=Pooling.POOLING_MODES)
write("modernbert", ModernBertModel(ModernBertConfig(
    vocab_size=len(words), hidden_size=16, intermediate_size=12, num_hidden_layers=4, num_attention_heads=2,
    max_position_embeddings=128, local_attention=8, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=None,
    eos_token_id=None)), words, pooling="cls")
nomic = write("nomic", NomicBertModel(NomicBertConfig(
    vocab_size=28, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2)), words)
hub_config_of_nomic(nomic)
write_jina(nomic)
print(sum(path.stat().st_size for name in ("t5", "t5-gated", "distilbert", "modernbert", "nomic", "jina")
          for path in (HERE / name).rglob("*") if path.is_file()), "bytes")
