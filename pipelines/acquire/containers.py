"""Which files may be opened as media: containers that hold their own streams, not lists that name other files.

FFmpeg takes a text file for an HLS, DASH, concat or SDP list whatever its name, and opens the files that it names; a
"video" from the network could so bring files of this machine into a dataset.
"""

from pathlib import Path

import av

from chdtf.errors import Reject, is_disk_full

CONTAINERS = (
    "mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,ogg,asf,h264,hevc,mjpeg,m4v,obu,ivf,rm,mxf,dv,nut,"
    "aac,mp3,flac,wav,w64,ac3,eac3,amr,aiff,caf,loas"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}  # for `av.open(..., options=OPTIONS)`


def refuse_unsafe(path: Path) -> None:
    """Raise `Reject("unreadable")` unless FFmpeg takes the file for one of `CONTAINERS`."""
    try:
        with av.open(str(path), options=dict(OPTIONS)):
            return
    except (av.error.FFmpegError, ValueError) as error:
        if is_disk_full(error):
            raise
        # FFmpeg calls what is not on the list an invalid argument
        is_other = isinstance(error, av.error.ArgumentError)
        said = "not a kind of file that is accepted" if is_other else getattr(error, "strerror", None)
        why = said or "not a media file"
        size = path.stat().st_size
        raise Reject("unreadable", f"{why} ({size} bytes; cut off, or not a video)") from error
