"""The SQL that draws the gym's records: one query an entity, over the ids and versions that a run delivers."""

from bench.generate.files import DRAWS

# A key of an id alone is what a record keeps in all its versions; a key of id and version is what changes.
MACROS = f"""{DRAWS}
-- A twentieth of what may be missing is: half of it NULL, half an empty string.
create macro or_nothing(key, choice, value) as
    case draw(key, choice || ' missing', 40) when 0 then null when 1 then '' else value end;
create macro moment(key, choice, first_day, days) as
    first_day::timestamp + to_seconds(draw(key, choice, days * 86400));
-- Mostly without a zone, which means UTC; one in 200 is no moment at all.
create macro moment_text(key, choice, value) as
    case draw(key, choice || ' spelling', 200)
        when 0 then '0000-00-00T00:00:00'
        when 1 then strftime(value, '%Y-%m-%d %H:%M:%S')
        else strftime(value, '%Y-%m-%dT%H:%M:%S') || one_of(key, choice || ' zone', ['', '', '', 'Z', '-03:00'])
    end;
create macro day_text(key, choice, value) as
    case draw(key, choice || ' spelling', 200)
        when 0 then '2026-02-30'
        when 1 then 'unknown'
        else strftime(value, '%Y-%m-%d') || one_of(key, choice || ' style', ['', 'T00:00:00'])
    end;
create macro branch(id) as 1 + draw(id, 'branch', 60);
"""

# Of the ids from $first on, those that run $run delivers. Later runs bring new ids, deliver 5 % again as they were and
# 5 % changed. 2 % come twice in the run: half of these in the same part, half in the part after it; the later is newer.
DELIVERED = """
with
ids as (
    select
        range as id,
        case when draw(range, 'first run', 10) < 7 then 0 else draw(range, 'later run', $runs) end as first_run
    from range(greatest($first - $part_ids, 0), $last)
),
runs as (
    select
        id,
        id < $first as is_of_the_part_before,
        -- The run that last changed the record.
        list_max([first_run] || list_filter(
            range(first_run + 1, $run + 1), lambda run: draw(id, 'again ' || run, 100) < 5
        )) as changed_run,
        draw(id, 'copies ' || $run, 100) as copies
    from ids
    where first_run = $run or (first_run < $run and draw(id, 'again ' || $run, 100) < 10)
),
copies as (
    select id, 3 * changed_run as version from runs where not is_of_the_part_before
    union all
    select id, 3 * $run + 1 as version from runs where not is_of_the_part_before and copies = 0
    union all
    select id, 3 * $run + 2 as version from runs where is_of_the_part_before and copies = 1
),
delivered as (
    select id, version, hash(id, version) as revision from copies
)
"""

# The day after a feed of one run: of each id in the range, a new one and one of $ids known ones, which comes as it was
# last or changed.
DELIVERED_THE_DAY_AFTER = """
with
ids as (
    select $ids + range as id, true as is_new from range($first, $last)
    union all
    select draw(range, 'day after', $ids), false from range($first, $last)
),
versions as (
    select
        id,
        case
            when is_new or happens(id, 'changed the day after', 50) then 3 * $run
            when draw(id, 'copies 0', 100) < 2 then 1 + draw(id, 'copies 0', 100)
            else 0
        end as version
    from ids
),
delivered as (
    select id, version, hash(id, version) as revision from versions
)
"""

MEMBERS = """
, members as (
    select
        delivered.*,
        moment(id, 'registered', '2018-01-01', 2900) as registered,
        one_of(id, 'first name', $first_names) as first_name,
        one_of(id, 'last name', $last_names) as last_name,
        draw(id, 'place', (select count(*) from places)) as place_id
    from delivered
)
select
    id + 1 as "idMember",
    branch(id) as "idBranch",
    'Branch ' || branch(id) as "branchName",
    first_name as "firstName",
    or_nothing(id, 'last name', last_name) as "lastName",
    or_nothing(id, 'register name', first_name || ' ' || last_name) as "registerName",
    or_nothing(id, 'document', lpad(draw(id, 'document', 10000000000)::varchar, 11, '0')) as "document",
    or_nothing(id, 'document id', draw(id, 'document id', 10000000)::varchar) as "documentId",
    or_nothing(id, 'gender', one_of(id, 'gender', ['F', 'M', 'O'])) as gender,
    day_text(id, 'birth', moment(id, 'birth', '1950-01-01', 20000)) as "birthDate",
    or_nothing(id, 'address', 'Rua ' || one_of(id, 'street', $last_names)) as address,
    or_nothing(id, 'number', draw(id, 'number', 2000)::varchar) as "number",
    or_nothing(id, 'neighborhood', 'Jardim ' || one_of(id, 'neighborhood', $last_names)) as neighborhood,
    city,
    state,
    country,
    or_nothing(id, 'zip', lpad(draw(id, 'zip', 100000000)::varchar, 8, '0')) as "zipCode",
    one_of(revision, 'status', ['Active', 'Active', 'Active', 'Inactive']) as status,
    one_of(revision, 'membership status', ['Active', 'Active', 'Expired', 'Canceled', '']) as "membershipStatus",
    one_of(revision, 'blocked', [true, false, false, false, null]) as "accessBlocked",
    or_nothing(revision, 'blocked reason', 'Overdue payment') as "blockedReason",
    case when happens(id, 'gympass', 12) then 'GP' || id when happens(id, 'no gympass', 50) then '' end as "gympassId",
    case when happens(id, 'totalpass', 8) then 'TP' || id end as "codeTotalpass",
    case when happens(id, 'gurupass', 2) then 'GU' || id end as "userIdGurupass",
    one_of(id, 'trainer', [true, false, false, null]) as "personalTrainer",
    moment_text(id, 'registered', registered) as "registerDate",
    moment_text(id, 'converted', registered + to_days(draw(id, 'converted', 90)::integer)) as "conversionDate",
    moment_text(revision, 'accessed', moment(revision, 'accessed', '2025-10-01', 102)) as "lastAccessDate",
    nullif(draw(id, 'consultant', 500), 0) as "idEmployeeConsultant",
    nullif(draw(id, 'instructor', 500), 0) as "idEmployeeInstructor",
    [
        {
            'idPhone': 4 * id + number,
            'contactType': ['Email', 'Cellphone', 'Telephone', 'Email'][number + 1],
            'description': or_nothing(revision, number, case
                when number % 3 = 0 then lower(strip_accents(first_name)) || id || '.' || number || '@example.com'
                else '119' || lpad(draw(revision, number, 100000000)::varchar, 8, '0')
            end),
            'ddi': case when number in (1, 2) then '55' end
        }
        for number in range(0, 4) if happens(revision, 'contact ' || number, 70)
    ] as contacts,
    [
        {
            'idMemberMembership': 3 * id + number,
            'idMembership': 1 + draw(id, 'plan ' || number, 40),
            'name': 'Plan ' || (1 + draw(id, 'plan ' || number, 40)),
            'startDate': day_text(id, 'start ' || number, registered + to_days(365 * number::integer)),
            'endDate': day_text(id, 'end ' || number, registered + to_days(365 * number::integer + 364)),
            'membershipStatus': one_of(revision, 'plan ' || number, ['Active', 'Expired', 'Canceled']),
            'cancelDate': case when happens(revision, 'cancel ' || number, 20)
                then moment_text(revision, 'cancel ' || number, moment(id, 'cancel ' || number, '2025-01-01', 375)) end,
            'idSale': draw(id, 'sale ' || number, 12800000) + 1,
            'saleDate': moment_text(id, 'sale ' || number, registered + to_days(365 * number::integer)),
            'valueNextMonth': draw(id, 'price ' || number, 40000) / 100,
            'loyaltyEndDate': case when happens(id, 'loyalty ' || number, 30)
                then day_text(id, 'loyalty ' || number, registered + to_days(365 * number::integer + 364)) end
        }
        for number in range(0, 3) if happens(revision, 'membership ' || number, 60)
    ] as memberships
from members
inner join places using (place_id)
order by id, version
"""

SALES = """
, sales as (
    select
        delivered.*,
        moment(id, 'sold', '2023-01-01', 1106) as sold,
        1 + draw(id, 'price', 40000) / 100 as price
    from delivered
)
select
    id + 1 as "idSale",
    branch(id) as "idBranch",
    case when not happens(id, 'prospect', 10) then 1 + draw(id, 'member', $members) end as "idMember",
    case when happens(id, 'prospect', 10) then 1 + draw(id, 'prospect id', $members) end as "idProspect",
    moment_text(id, 'sold', sold) as "saleDate",
    price as "totalValue",
    case when happens(id, 'discount', 20) then round(price / 10, 2) end as "discountValue",
    one_of(revision, 'payment', ['Paid', 'Open', '']) as "servicePaymentStatus",
    one_of(revision, 'removed', list_concat([true, null], list_transform(range(30), lambda way: false))) as "flRemoved",
    nullif(draw(id, 'employee', 500), 0) as "idEmployee",
    [
        {
            'idSaleItem': 3 * id + number,
            'idSale': id + 1,
            'itemName': or_nothing(id, 'item ' || number, 'Item ' || draw(id, 'item ' || number, 300)),
            'itemType': one_of(id, 'item type ' || number, ['Plan', 'Product', 'Service']),
            'quantity': 1 + draw(id, 'quantity ' || number, 3),
            'value': price,
            'totalValue': price * (1 + draw(id, 'quantity ' || number, 3))
        }
        for number in range(0, 3) if number = 0 or happens(revision, 'item ' || number, 25)
    ] as "saleItens",
    [
        {
            'idReceivable': 4 * id + number,
            'idSale': id + 1,
            'dueDate': day_text(id, 'due ' || number, sold + to_days(30 * number::integer)),
            'ammount': round(price / 2, 2),
            'ammountPaid': case when happens(revision, 'paid ' || number, 70) then round(price / 2, 2) else 0 end,
            'paymentDate': case when happens(revision, 'paid ' || number, 70)
                then moment_text(id, 'paid ' || number, sold + to_days(30 * number::integer)) end,
            'status': case when happens(revision, 'paid ' || number, 70) then 'Paid'
                when happens(revision, 'canceled ' || number, 10) then 'Canceled' else 'Open' end,
            'paymentMethodName': one_of(id, 'method', ['Credit card', 'Debit', 'Pix', ''])
        }
        for number in range(0, 4) if number < 2 or happens(revision, 'receivable ' || number, 30)
    ] as receivables
from sales
order by id, version
"""

# An entry's key is its member, branch and moments. How many entries of its member come before it, 45 at most, is the
# second of its moment: so no two entries have one key, and the number of distinct ones is known.
ENTRIES = """
select
    1 + id % $members as "idMember",
    branch(id) as "idBranch",
    moment_text(id, 'entered', entered) as "entryDate",
    moment_text(id, 'noted', entered + to_seconds(draw(id, 'delay', 90))) as "registerDate",
    or_nothing(id, 'device', 'Turnstile ' || draw(id, 'device', 4)) as device,
    one_of(revision, 'action', ['Released', 'Released', 'Blocked', '']) as action,
    case when happens(id, 'membership', 80) then 1 + draw(id, 'plan', 40) end as "idMembership"
from (
    select
        *,
        date_trunc('minute', moment(id, 'entered', '2023-01-01', 1106)) + to_seconds(id // $members) as entered
    from delivered
)
order by id, version
"""

PROSPECTS = """
select
    id + 1 as "idProspect",
    branch(id) as "idBranch",
    one_of(id, 'first name', $first_names) as "firstName",
    or_nothing(id, 'last name', one_of(id, 'last name', $last_names)) as "lastName",
    or_nothing(id, 'email', 'prospect' || id || '@example.com') as email,
    or_nothing(revision, 'telephone', '119' || lpad(draw(id, 'telephone', 100000000)::varchar, 8, '0')) as telephone,
    or_nothing(id, 'document', lpad(draw(id, 'document', 10000000000)::varchar, 11, '0')) as "document",
    or_nothing(id, 'gender', one_of(id, 'gender', ['F', 'M', 'O'])) as gender,
    one_of(revision, 'status', ['Opportunity', 'Converted', 'Lost', '']) as "currentStatus",
    one_of(id, 'origin', ['Website', 'Referral', 'Instagram', '']) as origin,
    moment_text(id, 'registered', moment(id, 'registered', '2023-01-01', 1106)) as "registerDate",
    case when happens(revision, 'converted', 20)
        then moment_text(revision, 'converted', moment(id, 'converted', '2023-06-01', 955)) end as "conversionDate",
    nullif(draw(id, 'consultant', 500), 0) as "idEmployeeConsultant"
from delivered
order by id, version
"""
