"""More optimizers and schedules for microgpt: update rules with kernels, parameter groups, averages of weights."""

__version__ = "0.1.0"
