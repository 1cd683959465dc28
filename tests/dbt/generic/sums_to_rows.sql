{# Compare the sum of a mart's counts with the number of rows that it counts. #}
{% test sums_to_rows(model, column, of) %}
    with

    counted as (
        select coalesce(sum({{ column }}), 0) as row_count
        from {{ model }}
    ),

    present as (
        select count(*) as row_count
        from {{ of }}
    )

    select
        counted.row_count as counted_rows,
        present.row_count as present_rows
    from counted
    cross join present
    where counted.row_count <> present.row_count
{% endtest %}
