"""Pictures of what a gallery holds: faces, and whole photos in the size of a screen."""

from facesearch.errors import PhotoError
from facesearch.files import printable
from facesearch.gallery.picture_sources import NotShownError, PhotoGoneError, load_source
from facesearch.gallery.storage import Storage
from facesearch.photos.pool import Decoders


class Showing(Storage):
    """A gallery whose faces and photos are shown, always as pictures that are made anew (see photos.encoding), by
    their ids alone."""

    def face_picture(self, face: int, side: int, decoders: Decoders) -> bytes:
        """A face with a little around it, as WebP with this side in pixels. Raises NotShownError where there is no
        such face, PhotoGoneError where its photo is not as it was indexed."""
        with self.reading() as (db, _):
            source = db.pictures.faces([face]).get(face)
            roots = db.pictures.roots()
        if source is None:
            raise NotShownError(f"There is no face {face}.")
        if not source.can_be_cut:
            raise NotShownError(f"Face {face} lies outside of its photo; run: facesearch check.")
        photo = load_source(source.photo, roots)
        try:
            return decoders.face_pictures(photo.data, [source.box], side, photo.size)[0]
        except PhotoError as error:
            raise _cannot_be_shown(source.photo.path, error) from error

    def photo_picture(self, photo: int, side: int, decoders: Decoders) -> bytes:
        """A photo as WebP whose longest side has at most so many pixels. Raises as `face_picture`."""
        with self.reading() as (db, _):
            source = db.pictures.photo(photo)
            roots = db.pictures.roots()
        if source is None:
            raise NotShownError(f"There is no photo {photo}.")
        loaded = load_source(source, roots)
        try:
            return decoders.photo_picture(loaded.data, side, loaded.size)
        except PhotoError as error:
            raise _cannot_be_shown(source.path, error) from error


def _cannot_be_shown(path: str, error: PhotoError) -> PhotoGoneError:
    return PhotoGoneError(f"{printable(path)} cannot be shown: {error}.")
