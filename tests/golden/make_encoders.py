"""Makes tiny random encoders with the vectors that transformers computes from them.

    python tests/golden/make_encoders.py     # writes tests/golden/encoders/{bert,roberta,bert-mlm}/

Needs torch, transformers and tokenizers (made with 2.15.0, 5.23.0 and 0.22). `bert` is a folder of sentence-transformers
with mean pooling, a dense layer and unit length, and a longest text of 12 tokens; `roberta` is pooled by its first token
and left at its length; `bert-mlm` is a plain folder of a masked language model, whose names have a prefix. Pooling, the
dense layer and the scaling are written out here from the documentation of sentence-transformers.
"""
import json
import pathlib
import shutil

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, BertModel, RobertaConfig, RobertaModel
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent / "encoders"
WORDS = "red blue sofa lamp ##s ##y oak table cord ##less drill a the 12 in . , - [ ] sep x".split()
TEXTS = ["red sofa", "Cordless drills, 12 in.", "", "oak table", "the [SEP] lamp", "unheard-of", "red " * 30]
COMMON = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.3)


def tokenizer(pad, unk, cls, sep):
    vocab = {token: i for i, token in enumerate([pad, unk, cls, sep, *WORDS])}
    out = Tokenizer(models.WordPiece(vocab, unk_token=unk))
    out.normalizer = normalizers.BertNormalizer(lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.add_special_tokens([pad, unk, cls, sep])
    out.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", special_tokens=[(cls, vocab[cls]), (sep, vocab[sep])])
    return out


def ids_of(own, limit):
    # A user's text never becomes a special token here: encoded without them, then framed.
    plain = Tokenizer.from_str(json.dumps({**json.loads(own.to_str()), "added_tokens": []}))
    out = []
    for text in TEXTS:
        cls, sep = own.encode("", add_special_tokens=True).ids
        out.append([cls, *plain.encode(text, add_special_tokens=False).ids[: limit - 2], sep])
    return out


def write(name, model, own, limit, pooling, dense=None, normalize=False):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim == 1:  # norms and biases away from their constants
                value.add_(torch.randn_like(value) * 0.2)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    own.save(str(folder / "tokenizer.json"))
    modules = [("Transformer", "")]
    if pooling:
        (folder / "1_Pooling").mkdir()
        modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")}
        (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit, "do_lower_case": False}))
        modules.append(("Pooling", "1_Pooling"))
    if dense:
        (folder / "2_Dense").mkdir()
        save_file({f"linear.{k}": v.detach() for k, v in dense.named_parameters()}, folder / "2_Dense/model.safetensors")
        activation = "torch.nn.modules.activation.Tanh"
        (folder / "2_Dense/config.json").write_text(json.dumps(
            {"in_features": 16, "out_features": dense.out_features, "bias": True, "activation_function": activation}))
        modules.append(("Dense", "2_Dense"))
    if normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))
    if pooling:
        (folder / "config_sentence_transformers.json").write_text(
            json.dumps({"similarity_fn_name": "cosine" if normalize else "dot"}))
        (folder / "modules.json").write_text(json.dumps(
            [dict(idx=i, name=str(i), path=path, type=f"sentence_transformers.models.{kind}")
             for i, (kind, path) in enumerate(modules)]))
    encoder = getattr(model, "bert", model).eval()
    ids, vectors = ids_of(own, limit), []
    with torch.no_grad():
        for row in ids:
            hidden = encoder(torch.tensor([row])).last_hidden_state[0]
            vector = hidden[0] if pooling == "cls_token" else hidden.mean(0)
            vector = torch.tanh(dense(vector)) if dense else vector
            vectors.append((vector / vector.norm() if normalize or not pooling else vector).tolist())
    (folder / "vectors.json").write_text(json.dumps({"texts": TEXTS, "ids": ids, "vectors": vectors}))
    print(name, sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()))


torch.manual_seed(1)
bert = tokenizer("[PAD]", "[UNK]", "[CLS]", "[SEP]")
size = len(WORDS) + 4
write("bert", BertModel(BertConfig(vocab_size=size, max_position_embeddings=20, **COMMON)), bert, 12, "mean_tokens",
      torch.nn.Linear(16, 6), True)
roberta = tokenizer("<pad>", "<unk>", "<s>", "</s>")
write("roberta", RobertaModel(RobertaConfig(vocab_size=size, max_position_embeddings=20, type_vocab_size=1, pad_token_id=0,
                                            **COMMON)), roberta, 19, "cls_token")
write("bert-mlm", BertForMaskedLM(BertConfig(vocab_size=size, max_position_embeddings=20, **COMMON)), bert, 20, None)
