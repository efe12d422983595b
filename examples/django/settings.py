"""As much of a Django project as it takes to use its models."""
import os

DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
    "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
}}
INSTALLED_APPS = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
