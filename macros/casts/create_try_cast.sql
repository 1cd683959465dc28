{#
    Create the cast of PostgreSQL 15, where only a caught exception tells that a value is no
    valid input. Parallel unsafe, as is the default: a caught exception is a subtransaction,
    which parallel workers cannot start.
#}
{% macro create_try_cast() %}
    {% if execute and target.type == 'postgres' and not has_input_check() %}
        create or replace function {{ target.schema }}.try_cast(value text, result anyelement)
        returns anyelement language plpgsql stable as $$
        begin
            result := value;
            return result;
        exception when data_exception then
            return null;
        end
        $$;
    {% endif %}
{% endmacro %}
