"""PostgreSQL's plans, read from EXPLAIN's JSON: time, pages, how each table is read, and a change of plan in words."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SAME_PLAN = "same plan"
# Nodes that only serve the one above them say nothing by themselves.
SILENT_NODES = frozenset(
    {"Hash", "Materialize", "Memoize", "Result", "Subquery Scan", "Bitmap Index Scan", "BitmapAnd", "BitmapOr", "Limit"}
)
AGGREGATES = {"Sorted": "GroupAggregate", "Hashed": "HashAggregate", "Mixed": "MixedAggregate"}

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """How a plan reads one table: the kind of scan, and the indexes by which it does."""

    schema: str
    relation: str
    alias: str
    scan: str
    indexes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One plan; ms and pages (of 8 kB, found in memory or read) are 0 where it was only planned.

    `whole` is all that EXPLAIN returned: the settings, times and triggers around the plan, too.
    """

    root: Node
    ms: float = 0.0
    pages: int = 0
    whole: Node = field(default_factory=dict)

    @property
    def accesses(self) -> tuple[Access, ...]:
        """How each table is read, in the plan's order."""
        return tuple(_access(node) for node in nodes(self.root) if "Relation Name" in node)

    @property
    def indexes(self) -> frozenset[str]:
        """Names of all indexes that the plan reads."""
        return frozenset(name for access in self.accesses for name in access.indexes)

    @property
    def tables(self) -> frozenset[tuple[str, str]]:
        """Schema and name of all tables that the plan reads."""
        return frozenset((access.schema, access.relation) for access in self.accesses)


def read_plan(explained: list[dict[str, Any]]) -> Plan:
    """Read what EXPLAIN (VERBOSE, FORMAT JSON) returned, with ANALYZE and BUFFERS or without."""
    [whole] = explained
    root = whole["Plan"]
    # A node's pages contain those of the nodes below it, and of its parallel workers.
    kinds = ("Shared Hit Blocks", "Shared Read Blocks", "Temp Read Blocks", "Temp Written Blocks")
    return Plan(root, whole.get("Execution Time", 0.0), sum(root.get(kind, 0) for kind in kinds), whole)


def nodes(root: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield root
    for child in root.get("Plans", ()):
        yield from nodes(child)


def change_in_words(before: Plan, after: Plan, candidate: Collection[str]) -> str:
    """Say what differs between two plans; the index names in `candidate` are called so."""
    words = []
    scans, changed = _scans(before, candidate), _scans(after, candidate)
    for table, old in scans.items():
        new = changed.get(table, old)
        if new != old:
            words.append(f"{' and '.join(old)} on {table} -> {' and '.join(new)}")
    lost, gained = _kinds(before), _kinds(after)
    gone = [kind for kind in lost if kind not in gained]
    come = [kind for kind in gained if kind not in lost]
    if gone and come:
        words.append(f"{', '.join(gone)} -> {', '.join(come)}")
    elif gone or come:
        words.append(f"{'without' if gone else 'with'} {', '.join(gone or come)}")
    return "; ".join(words) or SAME_PLAN


def _scans(plan: Plan, candidate: Collection[str]) -> dict[str, list[str]]:
    """Return how each table is read, sorted, so that another order of joins is no change."""
    scans: dict[str, list[str]] = {}
    for access in plan.accesses:
        using = ["candidate" if name in candidate else name for name in access.indexes]
        scan = f"{access.scan} using {', '.join(using)}" if using else access.scan
        table = access.relation if access.alias == access.relation else f"{access.relation} {access.alias}"
        scans.setdefault(table, []).append(scan)
    return {table: sorted(some) for table, some in scans.items()}


def _kinds(plan: Plan) -> list[str]:
    """Return the kinds of the nodes that read no table themselves, each once."""
    kinds = (_kind(node) for node in nodes(plan.root) if "Relation Name" not in node)
    return list(dict.fromkeys(kind for kind in kinds if kind not in SILENT_NODES))


def _kind(node: Node) -> str:
    """Name a node as EXPLAIN's text does; the halves of a parallel aggregate are told by Gather already."""
    kind = str(node["Node Type"])
    return AGGREGATES.get(node.get("Strategy", ""), kind) if kind == "Aggregate" else kind


def _access(node: Node) -> Access:
    parallel = "Parallel " if node.get("Parallel Aware") else ""
    own = [node["Index Name"]] if "Index Name" in node else []
    # A bitmap scan's indexes are on the nodes below it.
    below = [one["Index Name"] for one in nodes(node) if one["Node Type"] == "Bitmap Index Scan"]
    relation = node["Relation Name"]
    return Access(
        schema=node.get("Schema", ""),
        relation=relation,
        alias=node.get("Alias", relation),
        scan=parallel + node["Node Type"],
        indexes=tuple(dict.fromkeys([*own, *below])),
    )
