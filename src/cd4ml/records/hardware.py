"""The machine, or the cluster, that did some work."""

from __future__ import annotations

import msgspec

from cd4ml.records.resources import Resources, in_words


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """What work can have at most: CPUs, bytes of memory, GPUs by their names.

    `cpu` is the model of the CPUs, "" where nobody says. 0 CPUs: nobody has looked.
    """

    cpu: str = ""
    cpus: int = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()

    def lacks(self, asked: Resources) -> str:
        """What is asked for and not there, in words; "" if all of it is.

        Examples:
            >>> Hardware(cpus=2, memory=8 * 10**9).lacks(Resources(gpus=1, memory=9 * 10**9))
            '1 GPUs (there are none), 9 GB of memory (there are 8 GB)'
        """
        missing = []
        if asked.cpus > self.cpus:
            missing.append(f"{asked.cpus:g} CPUs (there are {self.cpus})")
        if asked.gpus > len(self.gpus):
            missing.append(f"{asked.gpus:g} GPUs (there are {len(self.gpus) or 'none'})")
        if asked.memory > self.memory:
            missing.append(
                f"{in_words(asked.memory)} of memory (there are {in_words(self.memory)})"
            )
        return ", ".join(missing)
