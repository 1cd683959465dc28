select older_count
from {{ ref('people_older_than') }}
where age = $1
