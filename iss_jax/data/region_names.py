"""Which things are of which region, by their names: lists, with `*` for any part of a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from fnmatch import fnmatchcase

from iss_jax.data.label_images import REGIONS
from iss_jax.few import few

# Where patterns of several regions fit a name, the first of these has it.
_ORDER = ("action", "support", "nuisance")


@dataclasses.dataclass(frozen=True)
class RegionNames:
    """The names of the things of each region.

    >>> named = RegionNames(nuisance=("*",), support=("black bowl*",), action=("robot",))
    >>> [named.region_of(name) for name in ("black bowl 1", "robot", "lamp")]
    ['support', 'action', 'nuisance']

    Attributes:
        nuisance: Names or patterns, such as `bowl*`; a name itself goes before a pattern.
        support: Likewise. Of several patterns action's go first, then support's.
        action: Likewise.
    """

    nuisance: tuple[str, ...] = ()
    support: tuple[str, ...] = ()
    action: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(self._lists().values())

    def region_of(self, name: str) -> str | None:
        """The region of a name; None where no list has it."""
        lists = self._lists()
        for region, own in lists.items():
            if name in own:
                return region
        for region, own in lists.items():
            if any(fnmatchcase(name, pattern) for pattern in own):
                return region
        return None

    def regions_of(self, names: Iterable[str], where: str) -> dict[str, str]:
        """The region of every name.

        Args:
            names: Of all things.
            where: What they are of, for messages.

        Raises:
            ValueError: A thing is in no list, an entry stands in two lists, or names nothing.
        """
        self.mapping()
        names = sorted(set(names))
        found = {name: self.region_of(name) for name in names}
        lost = [name for name, region in found.items() if region is None]
        if lost:
            raise ValueError(
                f"{where}: {few(lost)} are in none of --nuisance, --support and --action; "
                "--nuisance '*' takes all that no other list has"
            )
        idle = [
            f"--{region} {pattern!r}"
            for region, own in self._lists().items()
            for pattern in own
            if pattern != "*" and not any(fnmatchcase(n, pattern) or n == pattern for n in names)
        ]
        if idle:
            raise ValueError(f"{where}: {few(idle)} names nothing; there are {few(names, 20)}")
        return {name: region for name, region in found.items() if region is not None}

    def mapping(self) -> dict[str, str]:
        """Every entry of the lists -> its region, as a mapping file has them.

        Raises:
            ValueError: An entry stands in two lists.
        """
        found: dict[str, str] = {}
        for region, own in self._lists().items():
            for entry in own:
                if found.setdefault(entry, region) != region:
                    raise ValueError(f"--{region}: {entry!r} is {found[entry]} already")
        return found

    def _lists(self) -> dict[str, tuple[str, ...]]:
        assert set(_ORDER) == set(REGIONS)
        return {region: getattr(self, region) for region in _ORDER}
