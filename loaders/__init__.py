"""Land bronze files in PostgreSQL's staging schema by COPY, exactly once."""
