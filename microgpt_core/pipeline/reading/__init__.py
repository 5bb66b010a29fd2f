"""Reading a pipeline: from YAML and overrides to settings that hold, or all that is wrong with it. Nothing is run."""
