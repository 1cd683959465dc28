{#
    Render a core model: of each key the latest version that the pending loads hold, in the columns
    of the model's contract. The model's YAML is the only list of them; the key is an argument,
    because a unit test does not know the config's `unique_key`.
#}
{% macro latest_versions(source_name, table_name, key) %}
    {% set staged = ref('stg_' ~ source_name ~ '__' ~ table_name) %}
    {% set pending = ingot.pending_loads(source_name, table_name) %}
    {% if not execute %}
        {{ return('select * from ' ~ staged) }}
    {% endif %}
    {% do ingot.check_is_built(
        staged,
        staged ~ ' is not built yet: run `dbt build --select +' ~ model.name ~ '`, which builds it first.'
    ) %}
    {% set keys = [key] if key is string else key | list %}
    {% set columns = ingot.contract_columns(staged) %}
    {% do ingot.check_has_columns(staged, columns) %}

    {% set body -%}
with

records as (
    select * from {{ staged }}
    where {{ pending }}
),

latest_versions as (
    select {{ ingot.distinct_on(ingot.quoted_list(keys)) }}
        {{ ingot.quoted_list(columns) }},
        _load_id
    from records
    where {% for key in keys %}{{ adapter.quote(key) }} is not null{{ ' and ' if not loop.last }}{% endfor %}
    {{ ingot.first_by(ingot.quoted_list(keys), '_version desc') }}
)

select
    {{ ingot.quoted_list(columns) }},
    _load_id,
    current_timestamp as _inserted_at,
    current_timestamp as _updated_at
from latest_versions
    {%- endset %}
    {{ return(body) }}
{% endmacro %}


{#
    Return the columns of the model's contract but those that every core table has. A unit test
    knows no contract: there they are those of the staging view.
#}
{% macro contract_columns(staged) %}
    {% if model.resource_type == 'unit_test' %}
        {% set built = load_relation(api.Relation.create(
            database=target.database,
            schema=generate_schema_name('staging', none),
            identifier=staged.identifier | replace('__dbt__cte__', '')
        )) %}
        {% set names = adapter.get_columns_in_relation(built) | map(attribute='name') %}
    {% else %}
        {% set names = model.columns.keys() %}
        {% if not model.columns %}
            {{ exceptions.raise_compiler_error(
                model.name ~ ' has no contract: list its columns, each with name and data_type, in models/core/'
                ~ model.name ~ '.yml. `' ~ ingot.loader_command() ~ ' declare` writes one.'
            ) }}
        {% endif %}
    {% endif %}
    {% set own = ingot.lineage_columns() + ['_run_id', '_first_load_id', '_version', '_inserted_at', '_updated_at'] %}
    {{ return(names | reject('in', own) | list) }}
{% endmacro %}


{# Stop a model that is about to be built with columns that its staging view lacks, with the remedy. #}
{% macro check_has_columns(staged, columns) %}
    {% if flags.WHICH in ('run', 'build') and model.resource_type == 'model' %}
        {% set present = adapter.get_columns_in_relation(load_relation(staged)) | map(attribute='name') | list %}
        {% set missing = columns | reject('in', present) | join(', ') %}
        {% if missing %}
            {{ exceptions.raise_compiler_error(
                'The contract of ' ~ model.name ~ ' lists ' ~ missing ~ ', which ' ~ staged ~ ' lacks: list it in the '
                ~ 'columns of the sources YAML, too, then run `dbt build --full-refresh --select +' ~ model.name ~ '`.'
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
