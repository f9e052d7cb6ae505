"""What tests share: builders, strategies, and the harness around real clusters."""
