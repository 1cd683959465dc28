{#
    Create the cast of PostgreSQL 15, where only a caught exception tells that a value is no
    valid input. Parallel unsafe, as is the default: a caught exception is a subtransaction,
    which parallel workers cannot start.

    It is in ops, which all targets share, and is created once: whoever builds next in the database
    may not own it. Another body needs another name.
#}
{% macro create_try_cast() %}
    {% if execute and target.type == 'postgres' and not ingot.has_input_check() and not ingot.has_try_cast() %}
        create or replace function ops.try_cast(value text, result anyelement)
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


{% macro has_try_cast() %}
    {% set found = run_query("select to_regprocedure('ops.try_cast(text, anyelement)') is not null") %}
    {{ return(found.columns[0].values()[0]) }}
{% endmacro %}
