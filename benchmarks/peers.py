"""What a user of face_recognition or deepface writes to do what facesearch does; run by run.py with the peers' own
Python, whose environment facesearch need not share.

    python peers.py face_recognition index LIST      embed every face of the photos that the file LIST names
    python peers.py face_recognition verify A B
    python peers.py deepface index LIST
    python peers.py deepface verify A B
"""

import sys
from pathlib import Path


def face_recognition_index(photos: list[str]) -> int:
    import face_recognition

    faces = 0
    for photo in photos:
        image = face_recognition.load_image_file(photo)
        boxes = face_recognition.face_locations(image)
        faces += len(face_recognition.face_encodings(image, boxes))
    return faces


def face_recognition_verify(a: str, b: str) -> bool:
    import face_recognition

    first, second = (face_recognition.face_encodings(face_recognition.load_image_file(photo))[0] for photo in (a, b))
    return bool(face_recognition.compare_faces([first], second)[0])


def deepface_index(photos: list[str]) -> int:
    from deepface import DeepFace

    return sum(
        len(DeepFace.represent(photo, model_name="Dlib", detector_backend="mtcnn", enforce_detection=False))
        for photo in photos
    )


def deepface_verify(a: str, b: str) -> bool:
    from deepface import DeepFace

    return bool(DeepFace.verify(a, b, model_name="Dlib", detector_backend="mtcnn")["verified"])


if __name__ == "__main__":
    peer, task, *words = sys.argv[1:]
    if task == "index":
        print(globals()[f"{peer}_index"](Path(words[0]).read_text().splitlines()))
    else:
        print(globals()[f"{peer}_verify"](*words))
