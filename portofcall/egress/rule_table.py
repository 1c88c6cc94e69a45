"""Rules indexed by name, block and port: a look-up takes about as long with ten thousand rules as with ten.

Each look-up returns what a walk over the rules in their order would find first. It costs one dictionary
look-up for the name, one per label for ``*.domain``, one per prefix length in use for blocks, and a bisection
for the port.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heappop, heappush

from portofcall.egress.place import Key
from portofcall.egress.rules import Ports, Rule

#: A rule after its position among all: the lowest is the first.
Ranked = tuple[int, Rule]


class PortTable:
    """Finds the first of some rules that applies to a port.

    Args:
        rules: in their order.
    """

    __slots__ = ("_edges", "_first")

    def __init__(self, rules: Sequence[Ranked]) -> None:
        self._edges = _edges_of(rules[0][1].ports) if len(rules) == 1 else _edges(rules)
        self._first = _first_by_segment(rules, self._edges)

    def first(self, port: int) -> Ranked | None:
        """Return the first rule that applies to this port."""
        return self._first[bisect_right(self._edges, port)]


#: By prefix length, longest first: how far to shift an address, and the rules by what remains of it.
_Ladder = tuple[tuple[int, dict[int, PortTable]], ...]


class AddressTable:
    """Finds the first of some rules that has an address in its block and applies to a port.

    Args:
        rules: in their order, at least one. Their names are ignored.

    Attributes:
        any_block: all of the rules.
        without_block: those that have no block; None if each has one.
    """

    __slots__ = ("_ladders", "any_block", "without_block")

    def __init__(self, rules: Sequence[Ranked]) -> None:
        by_block: dict[tuple[int, int, int], list[Ranked]] = defaultdict(list)
        without = []
        for ranked in rules:
            block = ranked[1].block
            if block is None:
                without.append(ranked)
            else:
                shift = (block.high - block.low).bit_length()
                by_block[block.version, shift, block.low >> shift].append(ranked)
        self.any_block = PortTable(rules)
        only_these = len(without) == len(rules)
        self.without_block = self.any_block if only_these else PortTable(without) if without else None
        self._ladders = _ladders(by_block) if by_block else _NO_LADDERS

    def with_key(self, key: Key, *, single: bool = False) -> list[PortTable]:
        """Return the rules whose block has an address.

        Args:
            key: the address.
            single: only blocks of one address count.
        """
        version, number = key
        ladder = self._ladders[version]
        if single:
            return [rows[number] for shift, rows in ladder[:1] if not shift and number in rows]
        return [rows[prefix] for shift, rows in ladder if (prefix := number >> shift) in rows]


class RuleTable:
    """Finds the rules that apply to a host.

    Args:
        rules: in their order.

    Attributes:
        nameless: those without a name; None if each has one.
    """

    __slots__ = ("_by_name", "_most_labels", "nameless")

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_name: dict[str | None, list[Ranked]] = defaultdict(list)
        for ranked in enumerate(rules):
            by_name[ranked[1].name].append(ranked)
        self._by_name = {name: AddressTable(of_name) for name, of_name in by_name.items() if name is not None}
        self.nameless = AddressTable(by_name[None]) if None in by_name else None
        domains = (name for name in self._by_name if name.startswith("*"))
        self._most_labels = max((domain.count(".") for domain in domains), default=0)

    def named(self, host: str) -> list[AddressTable]:
        """Return the tables of the rules that name this host, itself or through ``*.domain``."""
        by_name = self._by_name
        if not by_name:
            return []
        found = [by_name[host]] if host in by_name else []
        dot = len(host)
        for _ in range(self._most_labels):
            dot = host.rfind(".", 0, dot)
            if dot < 0:
                break
            domain = "*" + host[dot:]
            if domain in by_name:
                found.append(by_name[domain])
        return found


def earliest(candidates: Iterable[Ranked | None]) -> Rule | None:
    """Return the first of the rules, by their order; None if there is none."""
    found = [candidate for candidate in candidates if candidate]
    return min(found)[1] if found else None


def _ladders(by_block: dict[tuple[int, int, int], list[Ranked]]) -> dict[int, _Ladder]:
    rows: dict[int, dict[int, dict[int, PortTable]]] = {4: {}, 6: {}}
    for (version, shift, prefix), rules in by_block.items():
        rows[version].setdefault(shift, {})[prefix] = PortTable(rules)
    return {version: tuple(sorted(by_shift.items())) for version, by_shift in rows.items()}


_NO_LADDERS: dict[int, _Ladder] = _ladders({})


def _edges(rules: Sequence[Ranked]) -> tuple[int, ...]:
    """Return the ports at which a rule begins or has ended."""
    return tuple(sorted({edge for _, rule in rules for edge in _edges_of(rule.ports)}))


@lru_cache(256)
def _edges_of(ports: Ports) -> tuple[int, ...]:
    """Return the edges of one rule. Most rules have the same few ports, and share this."""
    return tuple(sorted({edge for low, high in ports for edge in (low, high + 1)}))


def _first_by_segment(rules: Sequence[Ranked], edges: Sequence[int]) -> tuple[Ranked | None, ...]:
    """Return the first rule below the first edge, from there to the next, and so on."""
    begin: dict[int, list[tuple[Ranked, int]]] = defaultdict(list)
    for ranked in rules:
        for low, high in ranked[1].ports:
            begin[low].append((ranked, high))
    applying: list[tuple[Ranked, int]] = []
    first: list[Ranked | None] = [None]
    for edge in edges:
        for rule in begin.get(edge, ()):
            heappush(applying, rule)
        while applying and applying[0][1] < edge:
            heappop(applying)
        first.append(applying[0][0] if applying else None)
    return tuple(first)
