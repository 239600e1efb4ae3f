"""What the names of regions are made of. A region's name goes into addresses, files and OpenStack's calls."""

import re

REGION_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
