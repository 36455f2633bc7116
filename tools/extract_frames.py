"""The frames of videos as images: python tools/extract_frames.py VIDEO_OR_FOLDER ... --out FOLDER writes FOLDER/<video>/000000.jpg and so on.

A video whose folder is there already is passed over, so a run that was stopped goes on where it was.
"""

import argparse
import shutil
from pathlib import Path

import cv2

import _cli
from pysot.utils.frames import open_frames

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="video files, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="folder for a folder of images per video")
    args = parser.parse_args()
    files = [file for path in args.videos if path.is_dir() for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES]
    files += [path for path in args.videos if not path.is_dir()]
    if not files:
        raise ValueError(f"no video ({', '.join(SUFFIXES)}) in {', '.join(map(str, args.videos))}")
    if len({file.stem for file in files}) < len(files):
        raise ValueError("two videos have the same name without its ending; rename one, since the name becomes that of the folder")
    for file in files:
        count = extract(file, args.out / file.stem)
        print(f"{file.stem}: {count} frames" if count else f"{file.stem}: was there")


def extract(file: Path, folder: Path) -> int:
    """Write the frames to `folder`, which appears when it is whole; how many, 0 if it was there."""
    if folder.is_dir():
        return 0
    source, part = open_frames(file), folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    count = 0
    for frame in _cli.progress_bar(source.frames, total=source.count, description=file.stem):
        name = part / f"{count:06d}.jpg"
        try:
            name.write_bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(error.errno, f"cannot write {name}: {error.strerror}. Make room or choose another --out, and run the same command again") from error
        count += 1
    part.rename(folder)
    return count


if __name__ == "__main__":
    _cli.run(main)
