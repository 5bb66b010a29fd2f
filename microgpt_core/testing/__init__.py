"""What authors test their components with: the same checks that the core's own components pass."""
