{#
    Return how the loader is called, for errors that name a command: by its module in its own
    repository, by its program in a project that has these macros as a package.
#}
{% macro loader_command() %}
    {{ return('python -m loaders' if project_name == 'ingot' else 'ingot') }}
{% endmacro %}
