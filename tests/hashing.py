"""A hasher of passwords for tests, only cheap; and the real one, seen before any test replaces it."""

from argon2 import PasswordHasher

from identity import passwords

REAL = passwords.HASHER
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
