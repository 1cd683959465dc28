"""The whole pipeline on the gym's feed at any scale, stage by stage: what each took, beside the published figures."""
