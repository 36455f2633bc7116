"""The frames of videos as images: python tools/extract_frames.py VIDEO_OR_FOLDER ... --out FOLDER writes FOLDER/<video>/000000.jpg and so on.

A video in a folder of the named one goes to the same folder below FOLDER. A video whose frames are there already is passed over, so a run that was stopped goes
on where it was. A video that is damaged is told and does not stop the others.
"""

import argparse
import shutil
from pathlib import Path

import cv2

import _cli
from pysot.utils.files import publish_folder
from pysot.utils.frames import VIDEO_SUFFIXES, open_frames
from pysot.utils.image import IMAGE_SUFFIXES
from pysot.utils.names import image_names, natural_key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="video files, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="folder for a folder of images per video")
    args = parser.parse_args()
    found: dict[str, Path] = {}
    for file, name in (pair for path in args.videos for pair in videos_of(path, args.out)):
        if name in found:
            raise ValueError(
                f"{found[name]} and {file} have the same name without its ending; rename one, since the name becomes that of the folder"
            )
        found[name] = file
    if not found:
        raise ValueError(f"no video ({', '.join(VIDEO_SUFFIXES)}) in {', '.join(map(str, args.videos))}")
    failed = []
    for name, file in found.items():
        try:
            count = extract(file, args.out / name)
            print(f"{name}: {count} frames" if count else f"{name}: was there")
        except ValueError as error:
            failed.append(str(error))
            print(f"{name}: failed, {error}")
    if failed:
        raise ValueError(f"{len(failed)} of {len(found)} videos could not be read: {'; '.join(failed)}")


def videos_of(path: Path, out: Path) -> list[tuple[Path, str]]:
    """The videos of a folder and of the folders in it, with their names below --out; a file is a video. Says what else is there."""
    if not path.is_dir():
        return [(path, path.stem)]
    files = sorted(
        (
            file
            for file in path.rglob("*")
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and out.resolve() not in file.resolve().parents
        ),
        key=lambda file: natural_key(str(file)),
    )
    others = [file.name for file in files if file.suffix.lower() not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)]
    if others:
        print(
            f"{path}: passed over {len(others)} files that are no videos: {', '.join(others[:5])}{' ...' * (len(others) > 5)}"
        )
    return [
        (file, file.relative_to(path).with_suffix("").as_posix())
        for file in files
        if file.suffix.lower() in VIDEO_SUFFIXES
    ]


def extract(file: Path, folder: Path) -> int:
    """Write the frames to `folder`, where they appear when all of them are there; how many, 0 if they were. Folders of other videos may lie in it."""
    part = folder.with_name(f".{folder.name}.part")
    if image_names(folder) and not part.exists():
        return 0
    source = open_frames(file)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    count = 0
    for frame in _cli.progress_bar(source.frames, total=source.count, description=file.stem):
        name = part / f"{count:06d}.jpg"
        try:
            name.write_bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(
                error.errno,
                f"cannot write {name}: {error.strerror}. Make room or choose another --out, and run the same command again",
            ) from error
        count += 1
    if not folder.is_dir():
        publish_folder(part, folder)
        return count
    for frame in part.iterdir():  # beside the folders of videos from a folder that is called as this video
        frame.replace(folder / frame.name)
    part.rmdir()
    return count


if __name__ == "__main__":
    _cli.run(main)
