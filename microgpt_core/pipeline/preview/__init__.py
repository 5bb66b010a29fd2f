"""What a run would be and need, found out before it begins: memory, disk, time, and the plan as a picture."""
