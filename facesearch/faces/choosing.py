"""Which face of several in a photo is meant."""

from collections.abc import Sequence

from facesearch.geometry.face import Face


def by_size(faces: Sequence[Face]) -> list[int]:
    """The positions of the faces in the list, the largest face first."""
    return sorted(range(len(faces)), key=lambda i: -faces[i].box.area)


def largest_and_most_central(size: tuple[int, int], faces: Sequence[Face]) -> Face:
    """The face with the greatest area less twice the squared distance of its centre from that of the photo, whose
    width and height are given: the rule of davidsandberg/facenet's align_dataset_mtcnn. All in pixels."""
    width, height = size

    def merit(face: Face) -> float:
        box = face.box
        x, y = (box.left + box.right - width) / 2, (box.top + box.bottom - height) / 2
        return float(box.area - 2 * (x * x + y * y))

    return max(faces, key=merit)


def most_central(size: tuple[int, int], faces: Sequence[Face]) -> Face:
    """The face whose box's centre is nearest to that of the photo, whose width and height are given: the one after
    whom a photo of LFW is named."""
    width, height = size

    def squared_distance(face: Face) -> float:
        box = face.box
        return float((box.left + box.right - width) ** 2 + (box.top + box.bottom - height) ** 2)

    return min(faces, key=squared_distance)
