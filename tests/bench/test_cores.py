from pathlib import Path

import pytest

from bench import cores


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 8.0),
        ({"jobs/one": "max 100000"}, 8.0),
        ({"jobs/one": "150000 100000"}, 1.5),
        ({"jobs/one": "max 100000", "jobs": "300000 100000"}, 3.0),
        ({"jobs/other": "50000 100000"}, 8.0),
    ],
)
def test_a_quota_of_the_group_or_of_one_above_it_limits_the_cores(
    limits: dict[str, str], expected: float, tmp_path: Path
) -> None:
    for group, text in limits.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text("1:memory:/elsewhere\n0::/jobs/one\n")
    assert min([8.0, *cores._quotas(own, tmp_path)]) == expected
    assert cores._quotas(tmp_path / "none", tmp_path) == []


def test_the_affinity_limits_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert 0 < cores.usable_cores() <= 1
