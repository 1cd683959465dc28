select count(*) as older_count
from {{ ref('stg_people__persons') }}
where age > $1
