"""Makes a library as people have them, of 5,000 files: nested, in all formats, with what phones, cameras and network
disks leave beside photos. For trying facesearch by hand; docs/newcomer.md tells of such a walk.

    python benchmarks/library.py LFW/images FOLDER [--large PHOTOS] [--count 5000]

The faces are those of Labeled Faces in the Wild; PHOTOS are some larger photos that lie among them. The same
arguments give the same library, byte for byte but for dates of files."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.photos import raw_files

_BEGIN = datetime(2019, 5, 4, 12, 0, 0)
_DATE_TIME_ORIGINAL, _EXIF_IFD, _ORIENTATION = 0x9003, 0x8769, 0x0112
_SIDE = 1200  # pixels: of what a raw photo holds, which must be large to be looked at
_VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(4000)


def make(lfw: Path, to: Path, count: int, large: Sequence[Path] = ()) -> int:
    """Writes the library. Returns how many files it has."""
    rng = np.random.default_rng(0)
    sources = sorted(lfw.glob("*/*.jpg"))
    kinds = [kind for kind, weight in _KINDS for _ in range(weight)]
    for i in range(count):
        if i % 100 == 0 and _files(to) >= count:
            break
        kind = kinds[int(rng.integers(len(kinds)))]
        source = sources[int(rng.integers(len(sources)))]
        when = _BEGIN + timedelta(hours=int(i) * 9)
        folder = to / str(when.year) / f"{when:%m} {('Holiday', 'Garden', 'Wedding', 'Office')[when.month % 4]}"
        folder.mkdir(parents=True, exist_ok=True)
        kind(source, folder, i, when)
    for photo in large:
        shutil.copy2(photo, to / photo.name)
    (to / ".facesearchignore").write_text("Scans/\n*.tmp.jpg\n")
    return _files(to)


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def _jpeg(source: Path, folder: Path, number: int, when: datetime, name: str = "") -> Path:
    """A photo with the camera's date and, in one of five, lying on its side as the camera was held."""
    with Image.open(source) as photo:
        exif = Image.Exif()
        exif.get_ifd(_EXIF_IFD)[_DATE_TIME_ORIGINAL] = f"{when:%Y:%m:%d %H:%M:%S}"
        turned = number % 5 == 0
        exif[_ORIENTATION] = 6 if turned else 1
        stored = photo.transpose(Image.Transpose.ROTATE_90) if turned else photo
        path = folder / (name or f"IMG_{number:04d}.jpg")
        stored.save(path, quality=88, exif=exif)
    return path


def _other_format(source: Path, folder: Path, number: int, when: datetime) -> None:
    form = ("png", "webp", "tiff", "bmp", "gif", "avif", "heic", "jxl")[number % 8]
    path = folder / f"{when:%Y%m%d}_{number}.{form}"
    with Image.open(source) as photo:
        if form == "heic":
            import pillow_heif

            pillow_heif.register_heif_opener()
        if form == "jxl":
            import imagecodecs

            path.write_bytes(imagecodecs.jpegxl_encode(np.asarray(photo)))
        elif form == "gif":
            photo.save(path, save_all=True, append_images=[photo.rotate(3)])
        else:
            photo.save(path)


def _raw_pair(source: Path, folder: Path, number: int, when: datetime) -> None:
    """A raw photo, beside its JPEG or alone."""
    with Image.open(source) as photo:
        large = photo.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    stamp = f"{when:%Y:%m:%d %H:%M:%S}"
    makers: dict[str, Callable[[], bytes]] = {
        "CR2": lambda: raw_files.cr2(large, 1),
        "NEF": lambda: raw_files.nef(large, 1),
        "ARW": lambda: raw_files.arw(large, 1),
        "CR3": lambda: raw_files.cr3(large, 1, stamp),
        "DNG": lambda: raw_files.dng(large.resize((160, 160)), when=stamp),
    }
    kind = list(makers)[number % len(makers)]
    (folder / f"DSC_{number:04d}.{kind}").write_bytes(makers[kind]())
    if number % 2:
        exif = Image.Exif()
        exif.get_ifd(_EXIF_IFD)[_DATE_TIME_ORIGINAL] = stamp
        large.save(folder / f"DSC_{number:04d}.JPG", quality=88, exif=exif)


def _burst(source: Path, folder: Path, number: int, when: datetime) -> None:
    for shot in range(3):
        with Image.open(source) as photo:
            moved = photo.rotate(shot, resample=Image.Resampling.BICUBIC)
        at = folder / f"{when:%Y%m%d_%H%M%S}_BURST{shot:03d}_{number}.jpg"
        exif = Image.Exif()
        exif.get_ifd(_EXIF_IFD)[_DATE_TIME_ORIGINAL] = f"{when + timedelta(seconds=shot // 2):%Y:%m:%d %H:%M:%S}"
        moved.save(at, quality=90, exif=exif)


def _takeout(source: Path, folder: Path, number: int, when: datetime) -> None:
    """As Google's export names them: the photo, its edited copy, its double, and what is known of it."""
    photo = _jpeg(source, folder, number, when, f"PXL_{number}.jpg")
    shutil.copy2(photo, folder / f"PXL_{number}(1).jpg")
    with Image.open(photo) as read:
        read.convert("L").convert("RGB").save(folder / f"PXL_{number}-edited.jpg", quality=80)
    (folder / f"PXL_{number}.jpg.supplemental-metadata.json").write_text('{"title": "PXL"}')


def _network_disk(source: Path, folder: Path, number: int, when: datetime) -> None:
    photo = _jpeg(source, folder, number, when, f"P{number:07d}.JPG")
    thumbnail = folder / "@eaDir" / photo.name / "SYNOPHOTO_THUMB_M.jpg"
    thumbnail.parent.mkdir(parents=True)
    shutil.copy2(photo, thumbnail)
    (folder / ".thumbnails").mkdir(exist_ok=True)
    shutil.copy2(photo, folder / ".thumbnails" / f"{number}.jpg")


def _no_photo(source: Path, folder: Path, number: int, when: datetime) -> None:  # noqa: ARG001
    """What lies beside photos, and photos that are broken."""
    name, data = [
        (f"MOV_{number}.mp4", _VIDEO),
        (f"IMG_{number}.xmp", b"<x/>"),
        (f"Edit_{number}.psd", b"8BPS" + bytes(100)),
        (f"IMG_{number}.jpg", b""),
        (f"IMG_{number}.jpg", source.read_bytes()[:3000]),
        (f"Thumbs_{number}.db", b"\xd0\xcf\x11\xe0"),
    ][number % 6]
    (folder / name).write_bytes(data)
    if number % 12 == 0:
        scans = folder / "Scans"
        scans.mkdir(exist_ok=True)
        shutil.copy2(source, scans / f"scan_{number}.jpg")


def _plain(source: Path, folder: Path, number: int, when: datetime) -> None:
    _jpeg(source, folder, number, when)


_Kind = Callable[[Path, Path, int, datetime], None]
_KINDS: tuple[tuple[_Kind, int], ...] = (
    (_plain, 22),
    (_other_format, 5),
    (_raw_pair, 2),
    (_burst, 2),
    (_takeout, 3),
    (_network_disk, 3),
    (_no_photo, 3),
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--large", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    given = parser.parse_args()
    extra = sorted(given.large.iterdir()) if given.large else []
    print(f"{make(given.lfw, given.folder, given.count, extra):,} files in {given.folder}")
