"""The face models: the folder is the registry, and each module's `load(path)` gives one."""
