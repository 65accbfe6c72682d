"""What has changed since a photo could not be read: whether another try may help."""

from dataclasses import dataclass, field

from facesearch.packages import is_installed
from facesearch.photos.status import Cause

_SUCCESSORS = {"pillow_heif": "pi_heif"}  # what read HEIC in an earlier facesearch


@dataclass(frozen=True, slots=True)
class Remedies:
    """What a run can do that an earlier one perhaps could not: read photos of up to `max_megapixels`, and use the
    packages that are installed now."""

    max_megapixels: float
    _packages: dict[str, bool] = field(default_factory=dict)

    def may_help(self, cause: Cause | None, needs: str) -> bool:
        """Whether a photo that failed for this cause is worth another try, though its file is as it was. Of the
        failures of an earlier facesearch no cause is known: they are tried once more."""
        match cause:
            case Cause.FILE:
                return False
            case Cause.OPTION:
                return not _is_number(needs) or float(needs) <= self.max_megapixels
            case Cause.PACKAGE:
                return self._is_installed(_SUCCESSORS.get(needs, needs))
        return True

    def _is_installed(self, module: str) -> bool:
        if module not in self._packages:  # once a run, not once a photo
            self._packages[module] = is_installed(module)
        return self._packages[module]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
