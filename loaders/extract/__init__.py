"""Extraction: a REST API's records into a run of bronze files, as its source's `config.meta.extract` says."""
