"""One-pass results packed as the servers of GOT-10k, TrackingNet and LaSOT take them."""

import os
import zipfile
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.datasets.subsets import SIZES
from pysot.toolkit.results.files import find_ope_runs, is_nested, load_ope, ope_text
from pysot.toolkit.results.lines import ResultError, read_lines
from pysot.utils.files import atomic_write


def zip_ope(tracker_dir: str | os.PathLike, dataset: Dataset, path: str | os.PathLike) -> Path:
    """Pack the results of all sequences: <video>.txt (TrackingNet, LaSOT), or <video>/<video>_001.txt, _002.txt, ... and <video>_time.txt with a column for
    each repetition (GOT-10k). All of them must be there and whole; ResultError names the first that is not. Returns the path.
    """
    with atomic_write(path, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for sequence in dataset.sequences:
            for name, text in _members(tracker_dir, dataset, sequence):
                archive.writestr(name, text)
    return Path(path)


def _members(tracker_dir, dataset: Dataset, sequence: Sequence):
    """(name in the zip, text) of a sequence's files."""
    files, video, frames = find_ope_runs(tracker_dir, sequence.name, sequence.alike), sequence.name, len(sequence)
    if not is_nested(dataset):
        yield f"{video}.txt", ope_text(load_ope(files[0], frames))
        return
    for number, file in enumerate(files, start=1):
        yield f"{video}/{video}_{number:03d}.txt", ope_text(load_ope(file, frames))
    yield f"{video}/{video}_time.txt", _times(files[0], video, frames, len(files))


def _times(file: Path, video: str, frames: int, repetitions: int) -> str:
    found = next(
        (
            path
            for stem in (video, file.stem.removesuffix("_001"))
            if (path := file.with_name(f"{stem}_time.txt")).is_file()
        ),
        None,
    )
    if found is None:
        raise ResultError(
            f"no {file.with_name(f'{video}_time.txt')}: the server wants the seconds of each frame; track this video again"
        )
    lines = read_lines(found, frames)
    lines.refuse(lines.counts != repetitions, f"needs a number of seconds for each of {repetitions} repetitions")
    return "".join(",".join(f"{second:.6f}" for second in row) + "\n" for row in lines.numbers.reshape(frames, -1))


def without_result(tracker_dir: str | os.PathLike, dataset: Dataset) -> list[str]:
    """The sequences that have no result yet."""
    return [
        sequence.name
        for sequence in dataset.sequences
        if not find_ope_runs(tracker_dir, sequence.name, sequence.alike)[0].is_file()
    ]


def zip_if_whole(tracker_dir: str | os.PathLike, dataset: Dataset, path: str | os.PathLike) -> str:
    """Pack the results of a set whose server scores them if all of them are there, and say in a sentence what there is to send, or what lacks. A zip that is
    there already is not touched where results lack.
    """
    lacking = without_result(tracker_dir, dataset)
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        return (
            f"{dataset.name} is scored by its server, and there is nothing to send yet: {len(lacking)} of {len(dataset)} videos have no result "
            f"({', '.join(lacking[:3])}{more})"
        )
    packed, lacks = zip_ope(tracker_dir, dataset, path), incomplete(dataset)
    return f"packed {packed}{lacks}" if lacks else f"{dataset.name} is scored by its server: send it {packed}"


def incomplete(dataset: Dataset) -> str:
    """What to add to the name of a zip of a set that is not whole here, "" for one that is."""
    whole = SIZES.get(dataset.name.lower(), 0)
    return (
        f", but {dataset.name} has {whole} sequences and {len(dataset)} are here: the server needs all of them"
        if len(dataset) < whole
        else ""
    )
