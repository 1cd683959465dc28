select count(*) as older_count
from {{ ref('people') }}
where age > $1
