"""Libraries that only some features need."""

import importlib
from typing import Any


def needs(package: str, extra: str, purpose: str) -> Any:
    """Import a package, or say how to install it.

    Raises
    ------
    ModuleNotFoundError
        With the pip line.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != package.split(".")[0]:
            raise
        msg = f"{purpose} needs the package {package.split('.')[0]!r}: pip install 'jaxpwa[{extra}]'."
        raise ModuleNotFoundError(msg) from None
