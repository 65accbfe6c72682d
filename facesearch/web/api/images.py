"""Pictures: of faces, and of whole photos. Each is made by facesearch itself; no byte of a photo's file is sent."""

from typing import Annotated

import msgspec

from facesearch.photos.encoding import FACE_SIDE, LEAST_SIDE, MOST_FACE_SIDE, MOST_PHOTO_SIDE
from facesearch.web.operations import Asked, Nothing, Operation, Picture
from facesearch.web.service import Service


class FaceSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a face's square is to be, in pixels."""

    side: Annotated[int, msgspec.Meta(ge=LEAST_SIDE, le=MOST_FACE_SIDE)] = FACE_SIDE


class PhotoSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a photo's longer side is to be at most, in pixels."""

    side: Annotated[int, msgspec.Meta(ge=LEAST_SIDE, le=MOST_PHOTO_SIDE)] = MOST_PHOTO_SIDE


def face_image(service: Service, asked: Asked[FaceSize, Nothing]) -> Picture:
    """The square about a face."""
    side = asked.query.side
    face = service.gallery.face_to_show(asked.ids["face"], side)
    return Picture(face.picture or service.gallery.make_face_pictures([face.source], side, service.decoders)[0])


def photo_image(service: Service, asked: Asked[PhotoSize, Nothing]) -> Picture:
    """The whole photo."""
    photo = service.gallery.photo_to_show(asked.ids["photo"])
    return Picture(service.gallery.make_photo_picture(photo, asked.query.side, service.decoders))


OPERATIONS = (
    Operation("GET", "/api/faces/{face}/image", "A face, as WebP", face_image, FaceSize),
    Operation("GET", "/api/photos/{photo}/image", "A photo, as WebP", photo_image, PhotoSize),
)
