{#
    Do what the caller says in a gap between those who use the tables, and return why not where
    no gap comes in time.

    Whoever asks for a table queues behind a session that waits for an exclusive lock on it. So
    an attempt waits 20 ms, whatever the number of its locks, and gives back all that it got if
    that is not enough; between attempts the queue runs dry. A long reader delays the refresh and
    nobody else, and a pg_dump, which waits for one table while it holds others, is no deadlock.

    With `after_snapshots` it waits first until no snapshot is left that was taken before: to one
    that is older than a table, the table is empty (CREATE INDEX CONCURRENTLY waits likewise).

    With `commits` the transaction ends in the gap: the commit goes to the server with the rest.
#}
{% macro in_a_gap(tables, patience_seconds, after_snapshots=false, commits=false) %}
    {% set attempts %}
    do $gap$
    declare
        give_up_at constant timestamptz := clock_timestamp() + interval '{{ patience_seconds }} s';
        lock_timeout_before constant text := current_setting('lock_timeout');
        attempt_ends_at timestamptz := give_up_at;
        pause_seconds float := 0.05;
        old_snapshots text[] := '{}';
        is_held boolean := false;
        obstacle text := '';
    begin
        {% if after_snapshots %}
        old_snapshots := array({{ ingot.snapshots_sql() }});
        while old_snapshots <> '{}' and clock_timestamp() < give_up_at loop
            perform pg_sleep(0.02), pg_stat_clear_snapshot();
            old_snapshots := array(
                select snapshot
                from ({{ ingot.snapshots_sql() }}) as still_open
                where snapshot = any(old_snapshots)
            );
        end loop;
        select 'snapshots from before it are open in process '
            || string_agg(split_part(snapshot, ' ', 1), ', ')
        into obstacle
        from unnest(old_snapshots) as snapshot;
        {% endif %}
        if obstacle <> '' then
            perform set_config('ingot.obstacle', obstacle, false);
            return;
        end if;

        -- Readers pass this lock, and an autovacuum gives way to a second's wait for it; to the
        -- waits of 20 ms below it would not.
        begin
            {{ ingot.bound_wait() }}
            lock table {{ tables | join(', ') }} in share update exclusive mode;
        exception when lock_not_available then
            is_held := true;
            obstacle := sqlerrm;
        end;
        while not is_held loop
            begin
                attempt_ends_at := clock_timestamp() + interval '20 ms';
                {{ caller() }}
                {% if commits %}
                {% if not ingot.has_citus() %}
                -- A crash loses the swap together with its marks; the drop that follows flushes both to
                -- disk. On a cluster, nodes would keep a commit that the coordinator has lost.
                set local synchronous_commit = off;
                {% endif %}
                {% else %}
                -- For what follows under the locks: hooks.
                set local lock_timeout = '1s';
                {% endif %}
                exit;
            exception
            -- What the caller says that it must not do, and what no wait mends.
            when raise_exception or insufficient_privilege then
                raise;
            -- A lock that takes too long; or a view that went away meanwhile, under one name or another.
            when others then
                is_held := clock_timestamp() > give_up_at;
                obstacle := sqlerrm;
                perform pg_sleep(pause_seconds);
                pause_seconds := least(1.5 * pause_seconds, 1);
            end;
        end loop;
        if not is_held then
            obstacle := '';
        else
            perform set_config('lock_timeout', lock_timeout_before, true);
            select concat_ws(', ', nullif(obstacle, ''), 'held by process ' || string_agg(distinct pid::text, ', '))
            into obstacle
            from pg_locks
            where
                granted and locktype = 'relation' and pid <> pg_backend_pid()
                and database = (select oid from pg_database where datname = current_database())
                and relation in ('{{ tables | join("'::regclass, '") }}'::regclass);
        end if;
        perform set_config('ingot.obstacle', obstacle, false);
    end
    $gap$;
    {% if commits %}
    commit;
    begin;
    {% endif %}
    select current_setting('ingot.obstacle');
    {% endset %}
    {% do return(run_query(attempts).columns[0].values()[0]) %}
{% endmacro %}


{# Render what bounds the next lock's wait by what is left of the attempt. #}
{% macro bound_wait() -%}
    perform set_config('lock_timeout', greatest(1, ceil(1000 * extract(
        epoch from attempt_ends_at - clock_timestamp()
    )))::text, true);
{%- endmacro %}


{#
    A transaction that goes on with a new statement has another xmin, or none between two, unless
    it keeps one snapshot. Of processes without a user only autovacuum has one, to skip. Ingot's
    own sessions do not count: they lock what they read before they take a snapshot.
#}
{% macro snapshots_sql() %}
    select concat_ws(' ', pid, virtualxid, backend_xmin) as snapshot
    from pg_stat_activity
    inner join pg_locks using (pid)
    where
        locktype = 'virtualxid' and granted and pid <> pg_backend_pid()
        and datname = current_database() and usesysid is not null and backend_xmin is not null
        and pid not in (
            select pid
            from pg_locks
            where locktype = 'advisory' and classid between 1229866753 and 1229866756
        )
        and pid not in (select pid from pg_stat_progress_vacuum)
{% endmacro %}
