"""Which workers of a cluster take part in a job, and with how many threads."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..version import __version__
from . import member
from .member import Facts, Terms

SECONDS_BETWEEN_LOOKS = 1.0
# as text, since a function of this package may not be in a worker's version of it
VERSION = "__import__('taskvec.version', fromlist=['version']).__version__"


class Crew:
    """The workers that agree with the terms; asked again for those that come and go.

    Args:
        client: of ``distributed``.
        terms: of the job.
        job: what units are run by; can be pickled.
        say: is told in one line of every worker that is refused.
    """

    def __init__(self, client: Any, terms: Terms, job: Any, say: Callable[[str], None]) -> None:
        self.client, self.terms, self.say = client, terms, say
        self.job = pickle.dumps(job)
        self.members: dict[str, Facts] = {}
        self.refused: dict[str, str] = {}
        self.slots: dict[str, int] = {}  # units at a time, by address
        self._gpus = False
        self._looked = float("-inf")

    def refresh(self) -> None:
        """Let newcomers join and forget who is gone; at most once a second."""
        if time.monotonic() - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        self._looked = time.monotonic()
        self.members = {address: facts for address, facts in self.members.items() if address in workers}
        self.refused = {address: reason for address, reason in self.refused.items() if address in workers}
        new = [address for address in workers if address not in self.members and address not in self.refused]
        self.slots = {address: worker["nthreads"] for address, worker in workers.items()}
        self._gpus = any("GPU" in workers[address].get("resources", {}) for address in self.members)
        if new:
            self._admit(new)

    @property
    def at_once(self) -> int:
        """Units that can be computed at a time."""
        return sum(self.slots[address] for address in self.members)

    @property
    def threads(self) -> int:
        """Of a unit: the cores of the fullest host, shared by all that it may be asked to compute at a time."""
        cores: dict[str, int] = {}
        units: Counter[str] = Counter()
        for address, facts in self.members.items():
            cores[facts.host] = max(cores.get(facts.host, 0), facts.cores)
            units[facts.host] += self.slots[address]
        return max(1, min((cores[host] // units[host] for host in cores), default=1))

    @property
    def resources(self) -> dict[str, int]:
        """What a unit takes of a worker, where workers say how many GPUs they have."""
        return {"GPU": 1} if self.terms.gpu and self._gpus else {}

    def dismiss(self) -> None:
        """The end: workers forget the job."""
        self.client.run(member.leave, self.terms.token, workers=list(self.members), on_error="ignore")

    def _admit(self, new: list[str]) -> None:
        versions = self.client.run(eval, VERSION, workers=new, on_error="return")
        agreed = [address for address, version in versions.items() if version == __version__]
        for address in set(versions) - set(agreed):
            self._refuse(address, f"has {of_version(versions[address])}, this is {__version__}")
        if not agreed:
            return
        found = self.client.run(member.join, self.terms, self.job, workers=agreed, on_error="return")
        for address, facts in found.items():
            if not isinstance(facts, Facts):
                self._refuse(address, f"cannot join ({type(facts).__name__}: {facts})")
            elif facts.refused:
                self._refuse(address, facts.refused)
        able = {a: facts for a, facts in found.items() if isinstance(facts, Facts) and not facts.refused}
        level = common_level({**self.members, **able})
        for address, facts in able.items():
            if facts.simd == level:
                self.members[address] = facts
            else:
                # results are the same bit for bit within a level
                why = f"computes with SIMD level {facts.simd}, the others with {level}"
                self._refuse(address, f"{why}; start it with TASKVEC_SIMD={level}")

    def _refuse(self, address: str, reason: str) -> None:
        self.refused[address] = reason
        self.say(f"worker {address} is left out: it {reason}")


def common_level(members: Mapping[str, Facts]) -> str:
    """The SIMD level of most; those that joined first decide a tie."""
    return Counter(facts.simd for facts in members.values()).most_common(1)[0][0] if members else ""


def of_version(found: Any) -> str:
    return f"taskvec {found}" if isinstance(found, str) else "no taskvec"
