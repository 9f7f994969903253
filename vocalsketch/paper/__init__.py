"""The paper's table, figure and statements, from many runs."""
