{{
    config(
        unique_key='member_id',
        indexes=[
            {'columns': ['member_id'], 'unique': true},
            {'columns': ['branch_id']},
            {'columns': ['status']},
            {'columns': ['last_access_date']}
        ]
    )
}}

with

members as (
    select * from {{ ref('stg_evo__members') }}
    where {{ pending_loads('evo', 'members') }}
),

latest_versions as (
    select {{ distinct_on('member_id') }} *
    from members
    where member_id is not null
    {{ first_by('member_id', '_version desc') }}
),

gym_members as (
    select
        member_id,
        branch_id,
        branch_name,
        first_name,
        last_name,
        full_name,
        register_name,
        document,
        document_id,
        gender,
        birth_date,
        address,
        number,
        neighborhood,
        city,
        state,
        zip_code,
        status,
        membership_status,
        access_blocked,
        blocked_reason,
        gympass_id,
        code_totalpass,
        user_id_gurupass,
        personal_trainer,
        register_date,
        conversion_date,
        last_access_date,
        employee_consultant_id,
        employee_instructor_id,
        email,
        cellphone,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from gym_members
