"""What a user of face_recognition, deepface or facenet-pytorch writes to do what facesearch does; run by run.py with
the peers' own Python, whose environment facesearch need not share.

    python peers.py face_recognition index LIST      embed every face of the photos that the file LIST names
    python peers.py face_recognition verify A B
    python peers.py deepface index LIST
    python peers.py deepface verify A B
    python peers.py facenet_pytorch index LIST
    python peers.py face_recognition embed LIST OUT.npy      one embedding a photo: of the most central face
    python peers.py deepface embed LIST OUT.npy
"""

import sys
from pathlib import Path

import numpy as np


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


def facenet_pytorch_index(photos: list[str]) -> int:
    """MTCNN in batches of 32, then Inception-ResNet-v1; its weights, a download, change no speed and are left out."""
    import torch
    from facenet_pytorch import MTCNN, InceptionResnetV1
    from PIL import Image

    detector, embedder = MTCNN(keep_all=True), InceptionResnetV1(pretrained=None, classify=False).eval()
    faces = 0
    with torch.no_grad():
        for start in range(0, len(photos), 32):
            found = detector([Image.open(photo).convert("RGB") for photo in photos[start : start + 32]])
            chips = torch.cat([each for each in found if each is not None])
            faces += len(embedder(chips))
    return faces


def face_recognition_embed(photos: list[str], out: str) -> None:
    """Where no face is found the middle of the photo is taken for one: half its width and height."""
    import face_recognition

    rows = []
    for photo in photos:
        image = face_recognition.load_image_file(photo)
        height, width = image.shape[:2]
        middle = (height // 4, 3 * width // 4, 3 * height // 4, width // 4)  # top, right, bottom, left
        boxes = face_recognition.face_locations(image) or [middle]
        best = min(boxes, key=lambda b: _off_centre((b[3] + b[1]) / 2, (b[0] + b[2]) / 2, width, height))
        rows.append(face_recognition.face_encodings(image, [best])[0])
    np.save(out, np.array(rows))


def deepface_embed(photos: list[str], out: str) -> None:
    """Where no face is found deepface takes the whole photo."""
    import cv2
    from deepface import DeepFace

    rows = []
    for photo in photos:
        height, width = cv2.imread(photo).shape[:2]  # type: ignore[union-attr]
        faces = DeepFace.represent(photo, model_name="Dlib", detector_backend="mtcnn", enforce_detection=False)
        areas = [face["facial_area"] for face in faces]
        centres = [_off_centre(a["x"] + a["w"] / 2, a["y"] + a["h"] / 2, width, height) for a in areas]
        rows.append(faces[int(np.argmin(centres))]["embedding"])
    np.save(out, np.array(rows))


def _off_centre(x: float, y: float, width: int, height: int) -> float:
    return float(np.hypot(x - width / 2, y - height / 2))


if __name__ == "__main__":
    peer, task, *words = sys.argv[1:]
    if task == "index":
        print(globals()[f"{peer}_index"](Path(words[0]).read_text().splitlines()))
    elif task == "embed":
        globals()[f"{peer}_embed"](Path(words[0]).read_text().splitlines(), words[1])
    else:
        print(globals()[f"{peer}_verify"](*words))
