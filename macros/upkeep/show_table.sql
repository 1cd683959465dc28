{# Print the rows of a query as a table, numbers to the right. #}
{% macro show_table(title, table) %}
    {% set widths = [] %}
    {% set kinds = [] %}
    {% for name in table.column_names %}
        {% set values = table.columns[name].values() %}
        {% set longest = [name | length] %}
        {% for value in values %}
            {% do longest.append((value if value is not none else '-') | string | length) %}
        {% endfor %}
        {% do widths.append(longest | max) %}
        {% do kinds.append(values | select('number') | list | length > 0) %}
    {% endfor %}
    {% do print('') %}
    {% do print(title) %}
    {% do print(ingot.table_line(table.column_names, widths, kinds)) %}
    {% for row in table.rows %}
        {% do print(ingot.table_line(row.values(), widths, kinds)) %}
    {% endfor %}
    {% if table.rows | length == 0 %}
        {% do print('(none)') %}
    {% endif %}
{% endmacro %}


{% macro table_line(values, widths, is_number) %}
    {% set cells = [] %}
    {% for value in values %}
        {% set text = (value if value is not none else '-') | string %}
        {% set width = widths[loop.index0] %}
        {% do cells.append(text.rjust(width) if is_number[loop.index0] else text.ljust(width)) %}
    {% endfor %}
    {{ return(cells | join('  ')) }}
{% endmacro %}
