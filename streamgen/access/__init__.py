"""Who may do what, how often, and from which pages: roles, signed tokens, limits, origins. Free of I/O."""
