{#
    Render the statement that locks `table` against everybody, for the rest of the transaction;
    `with_views` also locks the views that read it directly.

    Whoever asks for a table queues behind a session that waits for an exclusive lock on it. So
    an attempt waits 50 ms, whatever the number of locks, and between attempts the queue runs
    dry: a long reader delays the refresh and nobody else. Views go first, since their readers
    lock them before the table; the other way round, the two would deadlock.
#}
{% macro exclusive_lock_sql(table, with_views) %}
    {% set patience_seconds = config.meta_get('lock_patience_seconds', 600) | int %}
    do $lock$
    declare
        give_up_at timestamptz := clock_timestamp() + interval '{{ patience_seconds }} s';
        attempt_ends_at timestamptz;
        pause_seconds float := 0.1;
        step text;
        holders text;
    begin
        -- Readers pass this lock, and an autovacuum gives way to a second's wait for it; to the
        -- waits of 50 ms below it would not.
        set local lock_timeout = '{{ patience_seconds }}s';
        lock table {{ table }} in share update exclusive mode;
        loop
            begin
                attempt_ends_at := clock_timestamp() + interval '50 ms';
                for step in
                    {%- if with_views %}
                    {# Without effect. `lock table` would lock all else that the view reads. #}
                    select format('alter view %s owner to %s', view_id::regclass, view_owner)
                    from ({{ direct_views_sql(table) }}) as views
                    union all
                    {%- endif %}
                    select 'lock table {{ table }} in access exclusive mode'
                loop
                    perform set_config('lock_timeout', greatest(1, ceil(1000 * extract(
                        epoch from attempt_ends_at - clock_timestamp()
                    )))::text, true);
                    execute step;
                end loop;
                set local lock_timeout = 0;
                exit;
            exception when lock_not_available or deadlock_detected then
                if clock_timestamp() > give_up_at then
                    select string_agg(distinct pid::text, ', ') into holders
                    from pg_locks
                    where
                        granted and locktype = 'relation' and pid <> pg_backend_pid()
                        and database = (select oid from pg_database where datname = current_database())
                        and relation = '{{ table }}'::regclass;
                    raise lock_not_available using message = format(
                        '{{ table }} was not free for a moment in {{ patience_seconds }} s; it '
                        || 'stays as it was. Held by process %s: let it end, or raise '
                        || '`meta.lock_patience_seconds`, then run again.', coalesce(holders, '(gone)')
                    );
                end if;
                perform pg_sleep(pause_seconds);
                pause_seconds := least(1.5 * pause_seconds, 1);
            end;
        end loop;
    end
    $lock$;
{% endmacro %}


{# Newest first: a view stands on older ones, and a reader locks it before these. #}
{% macro direct_views_sql(table) %}
    select distinct pg_class.oid as view_id, relowner::regrole as view_owner, reloptions
    from pg_depend
    inner join pg_rewrite on pg_rewrite.oid = objid
    inner join pg_class on pg_class.oid = ev_class
    where
        classid = 'pg_rewrite'::regclass
        and refclassid = 'pg_class'::regclass
        and refobjid = '{{ table }}'::regclass
        and relkind = 'v'
    order by view_id desc
{% endmacro %}
