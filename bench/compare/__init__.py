"""What is compared with other tools: loading, records from Python, dbt's strategies."""
