"""What is known: frozen records and integer columns, nothing that acts."""
