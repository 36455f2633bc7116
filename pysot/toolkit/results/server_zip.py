"""Pack results in the formats of the servers of GOT-10k, TrackingNet and LaSOT, and of DAVIS and YouTube-VOS."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.datasets.subsets import SEQUENCE_COUNTS
from pysot.toolkit.results.files import load_ope, ope_text
from pysot.toolkit.results.label_results import check_label_files, label_file, label_folder, read_label_result
from pysot.toolkit.results.lines import ResultError, read_lines
from pysot.toolkit.results.paths import find_ope_runs, is_nested
from pysot.utils.files import atomic_write
from pysot.utils.label_images import encode_label_image
from pysot.utils.progress import Bar, no_bar


def zip_results(tracker_dir: str | os.PathLike, dataset: Dataset, path: str | os.PathLike, bar: Bar = no_bar) -> Path:
    """Pack the results of all sequences, which `bar` shows. Returns the path of the zip.

    The zip has <video>.txt (TrackingNet, LaSOT), or <video>/<video>_001.txt, _002.txt, ... and <video>_time.txt with
    one column per repetition (GOT-10k), or the label images <video>/<frame>.png (DAVIS) and
    Annotations/<video>/<frame>.png (YouTube-VOS). All results must exist and be complete; ResultError names the first
    that is not.
    """
    members = _label_members if dataset.protocol == "objects" else _members
    with atomic_write(path, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for sequence in bar(dataset.sequences, description="packing"):
            for name, content in members(tracker_dir, dataset, sequence):
                archive.writestr(name, content)
    return Path(path)


def _label_members(tracker_dir: str | os.PathLike, dataset: Dataset, sequence: Sequence) -> Iterator[tuple[str, bytes]]:
    """Yield (name in the zip, png) of the frames that the server takes."""
    folder, labels = label_folder(Path(tracker_dir), sequence), sequence.labels
    assert labels is not None and sequence.height is not None and sequence.width is not None
    check_label_files(folder, sequence, labels.asked)
    parent = f"Annotations/{sequence.name}" if dataset.name.lower().startswith("youtube") else sequence.name
    for index in labels.asked:
        numbers = read_label_result(folder, sequence, index, (sequence.height, sequence.width))
        yield f"{parent}/{label_file(folder, sequence, index).name}", encode_label_image(numbers)


def _members(tracker_dir: str | os.PathLike, dataset: Dataset, sequence: Sequence) -> Iterator[tuple[str, str]]:
    """Yield (name in the zip, text) of a sequence's files."""
    files = find_ope_runs(tracker_dir, sequence.name, sequence.similar_names)
    video, frames = sequence.name, len(sequence)
    if not is_nested(dataset):
        yield f"{video}.txt", ope_text(load_ope(files[0], frames))
        return
    for number, file in enumerate(files, start=1):
        yield f"{video}/{video}_{number:03d}.txt", ope_text(load_ope(file, frames))
    yield f"{video}/{video}_time.txt", _times(files[0], video, frames, len(files))


def _times(file: Path, video: str, frames: int, repetitions: int) -> str:
    """Return the text of the time file beside the first result `file`; it may have the spelling of either name."""
    candidates = [file.with_name(f"{stem}_time.txt") for stem in (video, file.stem.removesuffix("_001"))]
    time_path = next((path for path in candidates if path.is_file()), None)
    if time_path is None:
        raise ResultError(f"no {candidates[0]}: the server needs the seconds of each frame; track this video again")
    lines = read_lines(time_path, frames)
    lines.refuse(lines.counts != repetitions, f"needs a number of seconds for each of {repetitions} repetitions")
    return "".join(",".join(f"{second:.6f}" for second in row) + "\n" for row in lines.numbers.reshape(frames, -1))


def missing_results(tracker_dir: str | os.PathLike, dataset: Dataset) -> list[str]:
    """Return the names of the sequences that have no result yet."""

    def exists(sequence: Sequence) -> bool:
        if dataset.protocol == "objects":
            return label_folder(Path(tracker_dir), sequence).is_dir()
        return find_ope_runs(tracker_dir, sequence.name, sequence.similar_names)[0].is_file()

    return [sequence.name for sequence in dataset.sequences if not exists(sequence)]


def zip_if_complete(
    tracker_dir: str | os.PathLike, dataset: Dataset, path: str | os.PathLike, bar: Bar = no_bar
) -> str:
    """Pack the results of a set that its server scores, if none is missing. Returns a sentence for the user.

    The sentence names the zip to send, or the missing results. An existing zip is not touched if results are missing.
    """
    missing = missing_results(tracker_dir, dataset)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return (
            f"{dataset.name} is scored by its server, and there is nothing to send yet: {len(missing)} of "
            f"{len(dataset)} videos have no result ({', '.join(missing[:3])}{more})"
        )
    packed = zip_results(tracker_dir, dataset, path, bar)
    note = incomplete_note(dataset)
    return f"packed {packed}{note}" if note else f"{dataset.name} is scored by its server: send it {packed}"


def incomplete_note(dataset: Dataset) -> str:
    """Return a note for the zip of a set with missing sequences, "" for a complete set."""
    expected = SEQUENCE_COUNTS.get(dataset.name.lower(), 0)
    if len(dataset) >= expected:
        return ""
    return f", but {dataset.name} has {expected} sequences and {len(dataset)} are here: the server needs all of them"
