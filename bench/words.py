"""How sentences write numbers and lists."""

from collections.abc import Sequence


def number(value: float) -> str:
    """Write a number with the digits that count: 26,500, 4,120, 17.8, 0.84, 0.0042."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def times(value: float) -> str:
    """Write a ratio with the sign of multiplication."""
    return f"{number(value)} \N{MULTIPLICATION SIGN}"


def listed(names: Sequence[str]) -> str:
    """Write 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
