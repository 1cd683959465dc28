"""What is measured beside others: loading, records from Python, dbt's strategies."""
