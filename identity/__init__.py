"""Who there is: the tree of bureaus at four levels, their information systems, people, roles and tokens."""
