"""The colours of a photo as a screen shows them: those of sRGB, whatever the photo's own profile says they are."""

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

from facesearch.arrays import Pixels

Convert: TypeAlias = Callable[[Pixels], Pixels]

_MOST = 4_000_000  # bytes of a profile: of a camera's or a phone's colours it has 500 to 10,000
_UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, SyntaxError, TypeError, KeyError)


def to_srgb(data: bytes) -> Convert:
    """What brings RGB pixels of this photo into sRGB: nothing, where they are so by its profile, where it has none or
    one that cannot be used. For decoders alone, as profiles are read by code in C."""
    try:
        profile = _profile_of(data)
        if profile is None:
            return _as_they_are
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, "RGB", "RGB")
    except _UNUSABLE:
        return _as_they_are
    return lambda pixels: np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform), np.uint8)


def are_others(data: bytes) -> bool:
    """Whether a photo's colours are other ones than sRGB's by its profile. For decoders alone."""
    try:
        return _profile_of(data) is not None
    except _UNUSABLE:
        return False


def _profile_of(data: bytes) -> ImageCms.ImageCmsProfile | None:
    """The profile of a photo whose colours are other ones than sRGB's."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("icc_profile")
    if not isinstance(found, bytes) or not found or len(found) > _MOST:
        return None
    profile = ImageCms.getOpenProfile(io.BytesIO(found))
    is_rgb = profile.profile.xcolor_space.strip() == "RGB"
    return None if not is_rgb or "sRGB" in (profile.profile.profile_description or "") else profile


def _as_they_are(pixels: Pixels) -> Pixels:
    return pixels
