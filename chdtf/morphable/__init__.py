"""3D morphable face models: bases, coefficients, fitting, and the files that the field exchanges."""
