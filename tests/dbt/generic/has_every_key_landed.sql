{# Compare how many keys a core model has with how many the loads that it has applied have landed. #}
{% test has_every_key_landed(model, staging, columns) %}
    {% set filled %}{% for column in columns %}{{ column }} is not null{{ ' and ' if not loop.last }}{% endfor %}{% endset %}
    with

    landed as (
        select count(*) as key_count
        from (
            select distinct {{ columns | join(', ') }}
            from {{ staging }}
            where
                {{ filled }}
                and _load_id in (
                    select load_id
                    from ops.applied_loads
                    where model = format('%I.%I', '{{ model.schema }}', '{{ model.identifier }}')
                )
        ) as landed_keys
    ),

    built as (
        select count(*) as key_count
        from {{ model }}
    )

    select
        landed.key_count as landed_count,
        built.key_count as built_count
    from landed
    cross join built
    where landed.key_count <> built.key_count
{% endtest %}
