"""A program that wants something imported before it: first.py BEFORE MODULE [MODULE's own arguments]."""

import importlib
import sys

before, module = sys.argv[1:3]
sys.argv = [module, *sys.argv[3:]]
importlib.import_module(before)
importlib.import_module(module)
