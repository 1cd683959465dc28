"""The models of `python -m bench transform`: one table by every strategy, in two dbt projects."""

from collections.abc import Mapping

COLUMNS = {
    "member_id": "bigint",
    "branch_id": "integer",
    "full_name": "text",
    "email": "text",
    "status": "text",
    "city": "text",
    "balance": "numeric(15,2)",
    "registered_at": "timestamptz",
    "_inserted_at": "timestamptz",
    "_updated_at": "timestamptz",
}
MODEL = """
{{{{ config(
    materialized='incremental', incremental_strategy='{strategy}', unique_key='member_id', on_schema_change='fail',
    contract={{'enforced': {contract}}}, meta={meta},
    indexes=[
        {{'columns': ['member_id'], 'unique': true}}, {{'columns': ['branch_id']}}, {{'columns': ['registered_at']}},
    ],
) }}}}
select
    member_id, branch_id, full_name, email, status, city,
    (balance + case when number % 100 < (select changed from public.present) then delivery else 0 end)::numeric(15, 2)
        as balance,
    registered_at,
    current_timestamp as _inserted_at, current_timestamp as _updated_at
from public.landed
where delivery = {{{{ '(select delivery from public.present)' if is_incremental() else 0 }}}}
"""


def stock_models() -> dict[str, str]:
    """Return the files of the project without this repository's macros."""
    return _with_contract(
        {
            "full.sql": _model(contract=False),
            "full_contract.sql": _model(contract=True),
            "delete_insert.sql": _model(contract=True),
            "merged.sql": _model(contract=True, strategy="merge"),
        }
    )


def our_models() -> dict[str, str]:
    """Return the files of the project with this repository's macros."""
    return _with_contract(
        {
            "swapped.sql": _model(contract=False),
            "swapped_contract.sql": _model(contract=True),
            "in_place.sql": _model(contract=True, meta={"full_refresh_mode": "in_place"}),
            "upserted.sql": _model(contract=True, strategy="upsert"),
        }
    )


def _model(*, contract: bool, strategy: str = "delete+insert", meta: Mapping[str, str] | None = None) -> str:
    return MODEL.format(strategy=strategy, contract=str(contract).lower(), meta=dict(meta or {}))


def _with_contract(models: Mapping[str, str]) -> dict[str, str]:
    columns = "".join(f"\n      - {{name: {name}, data_type: '{kind}'}}" for name, kind in COLUMNS.items())
    listed = "".join(f"\n  - name: {name.removesuffix('.sql')}\n    columns:{columns}" for name in models)
    return {**models, "models.yml": f"models:{listed}\n"}
