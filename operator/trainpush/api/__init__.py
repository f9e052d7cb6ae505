"""What users ask: the custom resources as pydantic models, and every name Kubernetes sees."""
