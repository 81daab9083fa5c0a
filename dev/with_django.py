"""Run a module with Django set up: python -m dev.with_django dev.soak.producer [ARGUMENTS…]"""

import os
import runpy
import sys

import django

if __name__ == "__main__":
    del sys.argv[0]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
    django.setup(set_prefix=False)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
