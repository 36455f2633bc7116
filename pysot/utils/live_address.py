"""Addresses of cameras and streams, and why they may give no frames."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://(?=[^/])", re.IGNORECASE)
_CAMERA = re.compile(r"/dev/video\d+")


@dataclass(frozen=True)
class Address:
    """What OpenCV opens, the number of a camera or a text; `description` is for messages, `name` for folders."""

    target: int | str
    description: str
    name: str
    is_camera: bool = True


def live_address(source: str) -> Address | None:
    """Return the address of a camera or a stream, None for any other source.

    A camera is its number, '' for camera 0, or a device such as /dev/video0; a stream has an address such as
    rtsp://... or http://... What may be secret in it, user and
    password before the host and all after a question mark, is left out of description and name.
    """
    if source == "" or (source.isdecimal() and not Path(source).exists()):
        number = int(source or 0)
        return Address(number, f"camera {number}", f"camera{number}")
    if scheme := _STREAM.match(source):
        place = re.sub(r"^[^/]+@", "", source[scheme.end() :].partition("?")[0])
        address = f"{scheme[1].lower()}://{source[scheme.end() :]}"
        name = re.sub(r"[^A-Za-z0-9]+", "_", place).strip("_")
        return Address(address, f"stream {scheme[1].lower()}://{place}", name or "stream", False)
    if _CAMERA.fullmatch(source) or Path(source).is_char_device():
        return Address(source, f"camera {source}", Path(source).name)
    return None


def explain_camera(address: Address) -> str:
    """Return why a camera cannot be opened, and what to do."""
    opened = f"{address.description} cannot be opened"
    device = Path(f"/dev/video{address.target}" if isinstance(address.target, int) else address.target)
    if sys.platform.startswith("linux"):
        if not device.exists():
            others = sorted(str(path) for path in Path("/dev").glob("video*"))
            known = f"there are {', '.join(others)}" if others else "this machine shows no camera at all"
            return f"{opened}: there is no {device}, {known}; name one, or a video file or a folder of images"
        if not os.access(device, os.R_OK | os.W_OK):
            return f"{opened}: you may not read {device}; join its group (often `video`), or change its permissions"
    return (
        f"{opened}: another program may be using it, or it gives no video; close that program, or name another camera, "
        "a video file or a folder of images"
    )


def explain_silence(address: Address) -> str:
    """Return what to do about a source that is open but gives no frame."""
    if address.is_camera:
        return (
            f"{address.description} gives no frame: another program may be using it, or it gives no video; close that "
            "program, or name another camera"
        )
    return f"{address.description} is there, but gives no frame; check that it is being sent, and its codec"
