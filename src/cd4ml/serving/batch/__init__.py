"""Many rows at once: files of any size scored piece by piece, each of them exactly once."""
