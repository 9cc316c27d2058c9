"""Statistics of paired values, as pure functions of arrays: intervals, tests, ranks and sizes of effects."""
