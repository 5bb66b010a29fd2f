"""What is measured: each module makes one kind of work for the process that does it."""
