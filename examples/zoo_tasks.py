"""The corpus of the example zoo (the articles of ``pydoc_data.topics``) and the labels of its three tasks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pydoc_data.topics import topics
from random import Random

from sklearn.feature_extraction.text import TfidfVectorizer

MAX_SENTENCES = 10
MAX_WORDS = 160
MIN_SENTENCES = 5
SHARE = 0.1  # of a document's sentences, for the summary and for its control

Span = tuple[int, int]  # characters of a text, end excluded

# Sphinx writes ``literal`` as "literal" and *emphasis* as *emphasis*; **strong** is no name.
MARKUP = re.compile(
    r'(?<![\w"])"(?P<literal>[^"\s](?:[^"]*?[^"\s])?)"(?![\w"])'
    r"|\*\*(?P<strong>\w[^*]*)\*\*"
    r"|(?<![\w*])\*(?P<emphasis>\w(?:[^*]*\w)?)\*(?![\w*])"
)
SENTENCE_END = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<=[.!?])\)?\s+(?=[^a-z\s])")
LIST_MARKER = re.compile(r"^(?:[*-]|\d+\.|\[\d+\])\s+")
PROSE = re.compile(r'["*“(]{0,2}[A-Z].*[.!?]\)?$')


@dataclass(frozen=True)
class Sentence:
    text: str
    names: tuple[Span, ...]


@dataclass(frozen=True)
class Document:
    """Some ten sentences of one article, with the quotes removed and what they held remembered."""

    article: str
    text: str
    sentences: tuple[Span, ...]
    names: tuple[Span, ...]


Articles = Mapping[str, list[Sentence]]


def unquote(text: str) -> tuple[str, list[Span]]:
    """Remove the markup of names from a text; return it with the spans of the names."""
    plain, names, done = "", [], 0
    for match in MARKUP.finditer(text):
        plain += text[done : match.start()]
        inside = match[match.lastgroup or 0]
        if match.lastgroup != "strong":
            names.append((len(plain), len(plain) + len(inside)))
        plain += inside
        done = match.end()
    return plain + text[done:], names


def paragraphs(article: str) -> Iterable[str]:
    """The prose of an article, one paragraph at a time: no headings, grammar, code or tables."""
    for block in re.split(r"\n\s*\n", article):
        text = re.sub(r"(?<=\w)-\n\s*(?=\w)", "-", block.strip())
        text = LIST_MARKER.sub("", " ".join(text.split()))
        if PROSE.match(text) and not re.search(r"::=|>>>|\+--|--\+| \| |={3}|\*{3}", text):
            yield text


def split_sentences(paragraph: str) -> Iterable[Sentence]:
    text, names = unquote(paragraph)
    ends = [m.end() for m in SENTENCE_END.finditer(text) if not any(a < m.end() <= b for a, b in names)]
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        sentence = text[start:end].rstrip()
        inside = tuple((a - start, b - start) for a, b in names if start <= a < end)
        # A quote that found no partner would mark a name that has no label.
        if '"' not in sentence:
            yield Sentence(sentence, inside)


def join_sentences(article: str, sentences: Iterable[Sentence]) -> Document:
    text, spans, names = "", [], []
    for sentence in sentences:
        text += " " if text else ""
        names += [(len(text) + a, len(text) + b) for a, b in sentence.names]
        spans.append((len(text), len(text) + len(sentence.text)))
        text += sentence.text
    return Document(article, text, tuple(spans), tuple(names))


def read_articles(sources: Mapping[str, str] = topics) -> dict[str, list[Sentence]]:
    """The sentences of every article, longest article first.

    Articles quote each other at length, so a paragraph belongs to the first article that has it: a split by article
    then shares no paragraph.
    """
    articles: dict[str, list[Sentence]] = {}
    seen: set[str] = set()
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        new = [p for p in dict.fromkeys(paragraphs(sources[name])) if p not in seen]
        seen.update(new)
        articles[name] = [sentence for paragraph in new for sentence in split_sentences(paragraph)]
    return {name: sentences for name, sentences in articles.items() if len(sentences) >= MIN_SENTENCES}


def split_by_article(articles: Articles) -> tuple[Articles, Articles]:
    """Articles to train on and articles held out: every fifth one, from the third longest on."""
    held_out = set(list(articles)[2::5])
    return (
        {name: sentences for name, sentences in articles.items() if name not in held_out},
        {name: sentences for name, sentences in articles.items() if name in held_out},
    )


def thin(articles: Articles, random: Random, share: float) -> Articles:
    """Leave out a random share of the sentences: the documents cut from the rest are new ones at every epoch."""
    return {name: [s for s in sentences if random.random() >= share] for name, sentences in articles.items()}


def cut(articles: Articles) -> list[Document]:
    """Cut articles into documents of some ten sentences."""
    chunks: list[tuple[str, list[Sentence]]] = []
    for name, sentences in articles.items():
        chunk: list[Sentence] = []
        for sentence in sentences:
            length = sum(len(s.text.split()) for s in [*chunk, sentence])
            if len(chunk) == MAX_SENTENCES or length > MAX_WORDS:
                chunks.append((name, chunk))
                chunk = []
            chunk.append(sentence)
        chunks.append((name, chunk))
    return [join_sentences(name, chunk) for name, chunk in chunks if len(chunk) >= MIN_SENTENCES]


def number_to_tag(document: Document) -> int:
    return max(1, round(SHARE * len(document.sentences)))


def label_names(document: Document) -> list[Span]:
    """NER: what the authors put in quotes or emphasised."""
    return list(document.names)


def label_central(document: Document) -> list[Span]:
    """SUM: the sentences most similar to the others of the document (mean TF-IDF cosine of their content words)."""
    sentences = [document.text[start:end] for start, end in document.sentences]
    tfidf = TfidfVectorizer(stop_words="english").fit_transform(sentences)
    similarity = (tfidf @ tfidf.T).toarray()  # [S, S]
    centrality = similarity.sum(axis=1) - similarity.diagonal()  # [S]
    best = sorted(range(len(sentences)), key=lambda i: -centrality[i])[: number_to_tag(document)]
    return [document.sentences[i] for i in sorted(best)]


def label_first(document: Document) -> list[Span]:
    """TEN: the first sentences, the control."""
    return list(document.sentences[: number_to_tag(document)])


def words(document: Document) -> Iterable[tuple[str, Span]]:
    for match in re.finditer(r"\S+", document.text):
        yield match[0].strip(".,;:").lower(), match.span()


def guess_names(train: list[Document]) -> Callable[[Document], list[Span]]:
    """Tag the words that were part of a name more often than not in training."""
    votes: Counter[str] = Counter()
    for document in train:
        for word, (start, end) in words(document):
            votes[word] += 1 if any(a < end and start < b for a, b in document.names) else -1
    return lambda document: [span for word, span in words(document) if votes[word] > 0]


def guess_longest(train: list[Document]) -> Callable[[Document], list[Span]]:
    """Tag the longest sentences."""
    return lambda document: sorted(document.sentences, key=lambda s: s[0] - s[1])[: number_to_tag(document)]


def guess_start(train: list[Document]) -> Callable[[Document], list[Span]]:
    """Tag the first 10 % of the characters."""
    return lambda document: [(0, round(SHARE * len(document.text)))]


@dataclass(frozen=True)
class Task:
    """What to tag, a rule that needs no model to compare with, and how to train."""

    label: Callable[[Document], list[Span]]
    guess: Callable[[list[Document]], Callable[[Document], list[Span]]]
    epochs: int
    left_out: float  # share of the sentences that an epoch goes without
    positive_weight: float = 1.0


TASKS = {
    "ner": Task(label_names, guess_names, epochs=5, left_out=0.2),
    "sum": Task(label_central, guess_longest, epochs=20, left_out=0.4, positive_weight=3.0),
    "ten": Task(label_first, guess_start, epochs=5, left_out=0.2),
}
