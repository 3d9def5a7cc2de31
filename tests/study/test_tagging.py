"""The encoder's family: what is tagged is what is asked for, and a tag is read back as text."""

from __future__ import annotations

import string
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("peft", reason="the study trains with peft")

from study.gazette import write_documents
from study.tagging import TaggingLearner, train_head
from study.tasks import TASKS, Task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
DOCUMENTS = write_documents(4, "test")
HIDDEN = 8


class Encoder(nn.Module):
    """Hidden states drawn from the token's number; no token knows of another."""

    device = "cpu"

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, HIDDEN)

    def forward(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.embedding(input_ids))


@pytest.fixture(scope="module")
def learner() -> TaggingLearner:
    """It reads words and punctuation marks, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word.strip(".,:") for d in DOCUMENTS for word in d.text.split()}
    words |= {word for task in TASKS.values() for word in task.question.split()} | set(string.punctuation)
    vocabulary = {word: number for number, word in enumerate(["[UNK]", "[CLS]", "[SEP]", *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    torch.manual_seed(0)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    return TaggingLearner(Encoder(len(vocabulary)), fast, "words", nn.Linear(HIDDEN, 2))


def answer_of_labels(learner: TaggingLearner, task: Task, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is answered by a model that tags exactly what it should."""
    _, labels, _ = learner.encode(task, DOCUMENTS[0])
    wanted = nn.functional.one_hot(labels.clamp(min=0), 2).float()
    monkeypatch.setattr(learner, "logits", lambda model, inputs: wanted)
    return learner.answer(learner.base, [(task, DOCUMENTS[0])])[0].split(" | ")


@pytest.mark.parametrize("name", TASKS)
def test_the_right_tags_are_the_right_pieces(
    learner: TaggingLearner, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answer_of_labels(learner, TASKS[name], monkeypatch)
    assert sorted(found) == sorted(TASKS[name].pieces(DOCUMENTS[0]))


def test_the_question_is_no_part_of_the_answer(learner: TaggingLearner) -> None:
    scored = learner.score(learner.base, TASKS["ner"], DOCUMENTS[0])
    _, labels, places = learner.encode(TASKS["ner"], DOCUMENTS[0])
    assert scored.tokens == int((labels >= 0).sum()) < len(places) - len(TASKS["ner"].question.split())
    assert scored.loss.isfinite()


def test_the_head_learns_on_the_base_and_is_frozen(learner: TaggingLearner) -> None:
    @torch.no_grad()
    def loss() -> float:
        return sum(float(learner.score(learner.base, task, d).loss) for task in TASKS.values() for d in DOCUMENTS)

    before, weights = loss(), learner.base.embedding.weight.clone()
    train_head(learner, DOCUMENTS)
    assert loss() < before
    assert torch.equal(learner.base.embedding.weight, weights)
    assert not any(parameter.requires_grad for parameter in learner.head.parameters())
