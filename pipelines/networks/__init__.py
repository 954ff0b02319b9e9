"""Networks of other people's papers, written from their published definitions, for weights that users fetch."""
