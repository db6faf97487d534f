"""A service in a process of its own, to be killed: `python -m tests.service.serving DIRECTORY PORT`."""

import sys

from library.library import Library
from service.main import serve
from service.settings import ServiceSettings
from tests.service.samples import WITHOUT_MODELS

if __name__ == "__main__":
    with Library.open(sys.argv[1], WITHOUT_MODELS) as library:
        serve(library, ServiceSettings(port=int(sys.argv[2])))
