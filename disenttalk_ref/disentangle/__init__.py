"""The paper's data-driven disentangling (Eq. 1-2): three ways to measure it, how stable it is, and whether it holds."""
