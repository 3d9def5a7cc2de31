"""A newspaper that never was: every document is written from a record, so what is true of it is known exactly.

Ten short sentences: what happened, what somebody thought of it, where it had happened before, and seven that name
nobody. Their order is random, so the first sentence says nothing of the summary.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .documents import LABELS, Document


def words(text: str) -> Sequence[str]:
    return text.split()


FIRST_NAMES = words(
    "Alice Bruno Clara David Felix Hugo Louis Maria Oscar Rosa Simon Anna Peter Laura Martin Emma Victor Sara Henry "
    "Julia Robert Helen Thomas Diana George Sophie Daniel Ruth Adam Nina Frank Edith Carl Ivan Marcus Noah Eva"
)
LAST_NAMES = words(
    "Abbott Berger Castro Fischer Garcia Hansen Jensen Keller Lopez Quinn Schmidt Turner Weber Murphy Baker Cooper "
    "Foster Hughes Morris Parker Reed Stewart Walker Bennett Porter Wallace Hayes Shaw Cohen Patel Singh Cruz Silva "
    "Kelly Burke Doyle Grant"
)
ORGANISATIONS = words(
    "Orion Atlas Summit Falcon Horizon Pioneer Phoenix Titan Nova Unity Crown Delta Vista Mercury Polar Aurora "
    "Pacific Liberty Alpine Matrix Omega Quantum"
)
PLACES = words(
    "Lyon Oslo Geneva Dublin Leipzig Boston Denver Prague Vienna Lisbon Athens Cairo Delhi Lima Quebec Milan Berlin "
    "Naples Munich Warsaw Helsinki Stockholm Madrid Rome Tokyo Seoul Sydney Perth Leeds Bristol Glasgow"
)
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February April June July August September October November December")
EVENTS = (
    "opened a new school",
    "closed the old bridge",
    "announced higher prices",
    "rejected the wage offer",
    "signed a trade agreement",
    "won the design prize",
    "cancelled the summer festival",
    "presented a cheaper battery",
    "bought the local paper",
    "promised more trains",
    "sold the empty hotel",
    "started a night school",
    "defended the new tax",
    "repaired the town clock",
)
REPORTS = (
    "{person} of {organisation} {event} in {place} on {day}.",
    "On {day}, {person} of {organisation} {event} in {place}.",
    "In {place}, {organisation} director {person} {event} on {day}.",
)
REACTIONS = (
    "{person} of {organisation} called it a mistake.",
    "{person}, who works for {organisation}, was pleased.",
    "{organisation} sent {person} to watch.",
)
PRECEDENTS = (
    "A similar plan failed in {place} in {month}.",
    "{place} had done the same in {month}.",
    "Visitors from {place} came in {month}.",
)
REMARKS = (
    "It rained all day.",
    "The room was full.",
    "Nobody was hurt.",
    "Coffee was served.",
    "Traffic was slow.",
    "Many people waited outside.",
    "The details will follow.",
    "A short film was shown.",
    "The crowd was quiet.",
    "Some left early.",
    "The hall was warm.",
    "There were few questions.",
    "The music was loud.",
    "Two windows were broken.",
    "The plan was old.",
    "A vote will follow.",
)


def write_document(random: Random) -> Document:
    first_names, last_names = random.sample(FIRST_NAMES, 2), random.sample(LAST_NAMES, 2)
    persons = [f"{first} {last}" for first, last in zip(first_names, last_names, strict=True)]
    organisations, places = random.sample(ORGANISATIONS, 2), random.sample(PLACES, 2)
    day, month, event = random.choice(WEEKDAYS), random.choice(MONTHS), random.choice(EVENTS)
    report, reaction, precedent = (random.choice(forms) for forms in (REPORTS, REACTIONS, PRECEDENTS))
    sentences = [
        report.format(person=persons[0], organisation=organisations[0], place=places[0], day=day, event=event),
        reaction.format(person=persons[1], organisation=organisations[1]),
        precedent.format(place=places[1], month=month),
        *random.sample(REMARKS, 7),
    ]
    random.shuffle(sentences)
    text = " ".join(sentences)
    entities = dict(zip(LABELS, (persons, organisations, places, [day, month]), strict=True))
    return Document(
        sentences=tuple(sentences),
        summary=f"{persons[0]} {event} in {places[0]}.",
        entities={label: tuple(sorted(names, key=text.index)) for label, names in entities.items()},
    )


def write_documents(number: int, seed: str) -> Sequence[Document]:
    random = Random(f"gazette-{seed}")
    return [write_document(random) for _ in range(number)]
