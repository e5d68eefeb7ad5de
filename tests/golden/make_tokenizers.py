"""Makes one tiny tokenizer per decoder family, with the token ids that transformers gives to rendered chats.

    python tests/golden/make_tokenizers.py   # writes tests/golden/tokenizers/{qwen,llama3,llama2}/ and ids.json

Needs tokenizers and transformers (made with 0.23.3 and 5.23.0). `qwen` holds vocab.json, merges.txt and a chat template
in the manner of Qwen3; `llama3` a tokenizer.json whose post-processor begins every text with a token; `llama2` one
with spaces as letters, byte fallback and a normalizer.
"""
import json
import pathlib
import shutil

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent / "tokenizers"
TEXTS = ["Search query: red cotton shirt", "Items so far: blue shoes", "Next item:", "für Kinder 42 手机 case",
         "You find items of a shop.", "it's a shop's item, isn't it?\n\n  two  lines"] * 20
QWEN_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
              r"|\s+(?!\S)|\s+")
QWEN_CHAT = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- if message.role == "user" and not message.content.startswith('<tool_response>') %}
        {%- set ns.last = (messages|length - 1) - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA3_CHAT = """{{- bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'
 + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
LLAMA2_CHAT = """{% for message in messages %}{% if message.role == 'system' %}{% set system = message.content %}{% endif %}{% endfor %}
{%- for message in messages if message.role == 'user' %}{{ bos_token + '[INST] ' + message.content.strip() + ' [/INST]' }}{% endfor %}"""


def save(name, tokenizer, **config):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **config)
    fast.save_pretrained(folder)
    return folder, fast


def qwen():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens([AddedToken(t, special=t.startswith("<|"), normalized=False)
                          for t in ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]])
    folder, fast = save("qwen", tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=QWEN_CHAT)
    tokenizer.model.save(str(folder))
    added = {i: {"content": t.content, "lstrip": t.lstrip, "rstrip": t.rstrip, "normalized": t.normalized,
                 "single_word": t.single_word, "special": t.special} for i, t in tokenizer.get_added_tokens_decoder().items()}
    for name in ["tokenizer.json", "chat_template.jinja"]:
        (folder / name).unlink(missing_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added, "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "bos_token": None, "chat_template": QWEN_CHAT}, indent=1))
    return fast


def llama3():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_WORDS.replace(r"\p{N}|", r"\p{N}{1,3}|")), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer.add_special_tokens(names)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))])
    return save("llama3", tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", chat_template=LLAMA3_CHAT)[1]


def llama2():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(content=" ", left=1)])
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)])
    tokenizer.train_from_iterator(TEXTS, trainer)
    # The bytes are ordinary entries of the vocabulary.
    text = json.loads(tokenizer.to_str())
    text["added_tokens"] = [t for t in text["added_tokens"] if t["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(text))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return save("llama2", tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=LLAMA2_CHAT)[1]


golden = {}
for name, make in [("qwen", qwen), ("llama3", llama3), ("llama2", llama2)]:
    tokenizer = make()
    cases = []
    for system in [None, "You find items of a shop."]:
        for query in ["red cotton shirt", "  für Kinder's  42手机 ", "it's\n\ntwo lines ", "🚲 never seen é"]:
            ask = f"Search query: {query}\nNext item:"
            messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": ask}]
            chat = tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False, tokenize=False)
            cases.append({"system": system, "query": query,
                          "chat": tokenizer.encode(chat, add_special_tokens=False),
                          "plain": tokenizer.encode((system + "\n" if system else "") + ask)})
    golden[name] = cases
(HERE / "ids.json").write_text(json.dumps(golden, ensure_ascii=False))
for path in sorted(HERE.rglob("*")):
    if path.is_file():
        print(path.relative_to(HERE), path.stat().st_size)
