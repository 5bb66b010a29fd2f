"""What this pack makes of a plan before kernels are chosen. Each pass is a file."""
