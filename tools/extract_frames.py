"""Extract the frames of videos as images.

Writes FOLDER/<video>/000000.jpg and so on; videos in subfolders go to the same subfolders. Videos
whose frames exist are skipped, so the same command goes on after an interruption. A damaged video
is reported and does not stop the others.
"""

import shutil
from pathlib import Path

import _cli

_cli.prepare_process()

import cv2

import _arguments
from pysot.utils.files import publish_folder
from pysot.utils.frames import VIDEO_SUFFIXES, open_frames
from pysot.utils.image import IMAGE_SUFFIXES
from pysot.utils.names import image_names, natural_key
from pysot.utils.progress import progress_bar

EXAMPLES = (
    "python tools/extract_frames.py clip.mp4 --out frames",
    "python tools/extract_frames.py videos more/last.avi --out boats",
)


def main() -> None:
    parser = _arguments.make_parser(__doc__, EXAMPLES)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="video files, or folders of them")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for a folder of images per video")
    args = parser.parse_args()
    videos: dict[str, Path] = {}
    for file, name in (pair for path in args.videos for pair in find_videos(path, args.out)):
        if name in videos:
            raise ValueError(
                f"{videos[name]} and {file} have the same name without its suffix; rename one, since the name becomes "
                "that of the folder"
            )
        videos[name] = file
    if not videos:
        raise ValueError(f"no video ({', '.join(VIDEO_SUFFIXES)}) in {', '.join(map(str, args.videos))}")
    failed = []
    for name, file in videos.items():
        try:
            count = extract(file, args.out / name)
            print(f"{name}: {count} frames" if count else f"{name}: already extracted")
        except ValueError as error:
            failed.append(str(error))
            print(f"{name}: failed, {error}")
    if failed:
        raise ValueError(f"{len(failed)} of {len(videos)} videos could not be read: {'; '.join(failed)}")


def find_videos(path: Path, out: Path) -> list[tuple[Path, str]]:
    """Return the videos of a folder and its subfolders, with their names below --out; or `path` if it is a file.

    Other files in the folder are reported.
    """
    if not path.is_dir():
        return [(path, path.stem)]
    files = sorted(
        (file for file in path.rglob("*") if file.is_file() and not _is_skipped(file, path, out)),
        key=lambda file: natural_key(str(file)),
    )
    others = [file.name for file in files if file.suffix.lower() not in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)]
    if others:
        more = " ..." if len(others) > 5 else ""
        print(f"{path}: skipped {len(others)} files that are not videos: {', '.join(others[:5])}{more}")
    return [
        (file, file.relative_to(path).with_suffix("").as_posix())
        for file in files
        if file.suffix.lower() in VIDEO_SUFFIXES
    ]


def _is_skipped(file: Path, folder: Path, out: Path) -> bool:
    """Return whether a file is hidden, or lies in the output folder."""
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return is_hidden or out.resolve() in file.resolve().parents


def extract(file: Path, folder: Path) -> int:
    """Write the frames to `folder`, where all of them appear at once; return their number, 0 if they existed.

    Folders of other videos may lie in `folder`.
    """
    part = folder.with_name(f".{folder.name}.part")
    if image_names(folder) and not part.exists():
        return 0
    source = open_frames(file)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    count = 0
    for frame in progress_bar(source.frames, total=source.count, description=file.stem):
        image = part / f"{count:06d}.jpg"
        try:
            image.write_bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OSError(
                error.errno,
                f"cannot write {image}: {error.strerror}. Make room or choose another --out, and run the same command "
                "again",
            ) from error
        count += 1
    if not folder.is_dir():
        publish_folder(part, folder)
        return count
    # The folder exists: a folder with this video's name has videos, too. The frames go beside their folders.
    for frame in part.iterdir():
        frame.replace(folder / frame.name)
    part.rmdir()
    return count


if __name__ == "__main__":
    _cli.run(main)
