"""Pictures: of faces, and of whole photos. Each is made by facesearch itself; no byte of a photo's file is sent."""

from typing import Annotated

import msgspec
from starlette.concurrency import run_in_threadpool

from facesearch.photos.encoding import FACE_SIDE, LEAST_SIDE, MOST_FACE_SIDE, MOST_PHOTO_SIDE
from facesearch.web.operations import Asked, Nothing, Operation, Picture
from facesearch.web.service import Service


class FaceSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a face's square is to be, in pixels."""

    side: Annotated[int, msgspec.Meta(ge=LEAST_SIDE, le=MOST_FACE_SIDE)] = FACE_SIDE


class PhotoSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a photo's longer side is to be at most, in pixels."""

    side: Annotated[int, msgspec.Meta(ge=LEAST_SIDE, le=MOST_PHOTO_SIDE)] = MOST_PHOTO_SIDE


async def face_image(service: Service, asked: Asked[FaceSize, Nothing]) -> Picture:
    """The square about a face."""
    face_id, side = asked.ids["face"], asked.query.side
    face = await run_in_threadpool(service.gallery.face_to_show, face_id, side)
    return Picture(face.picture or await service.pictures.face(face.source, side, asked.is_gone))


async def photo_image(service: Service, asked: Asked[PhotoSize, Nothing]) -> Picture:
    """The whole photo."""
    photo = await run_in_threadpool(service.gallery.photo_to_show, asked.ids["photo"])
    return Picture(await service.pictures.photo(photo, asked.query.side, asked.is_gone))


OPERATIONS = (
    Operation(
        "GET", "/api/faces/{face}/image", "A face, as WebP", face_image, FaceSize, reply=Picture, refusals=(404, 410)
    ),
    Operation(
        "GET",
        "/api/photos/{photo}/image",
        "A photo, as WebP",
        photo_image,
        PhotoSize,
        reply=Picture,
        refusals=(404, 410),
    ),
)
