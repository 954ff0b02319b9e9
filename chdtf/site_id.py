"""Which video of which site an address means, however the address is written: `youtube:ID`, `bilibili:BV...`.

The same video has many addresses (watch?v=, youtu.be/, embed/, shorts/, with a time or a list behind it; av and BV
numbers). Whatever must be recognised as one video, such as one that was withdrawn, is compared by this id.
"""

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_YOUTUBE_HOSTS = re.compile(r"(?:.+\.)?(?:youtube|youtube-nocookie|youtubekids)\.com")
_BILIBILI_HOSTS = re.compile(r"(?:.+\.)?bilibili\.com|b23\.tv")
_YOUTUBE_ID = re.compile(r"[0-9A-Za-z_-]{11}")  # what follows the id is ignored, as yt-dlp and the site do
_YOUTUBE_PATH = re.compile(r"/(?:embed|shorts|live|v|e|vi|watch)/([^/?&#]+)")
_BV = re.compile(r"[bB][vV](1[1-9A-HJ-NP-Za-km-z]{9})")
_AV = re.compile(r"[aA][vV]([1-9][0-9]{0,15})")
_VOXCELEB = re.compile(r"id[0-9]{5}_([0-9A-Za-z_-]{11})_[0-9]{5}(?:_[0-9]{3,})?")
_EPISODE = re.compile(r"/bangumi/play/(ep[0-9]+)")

# Bilibili numbers videos twice: av170001 is BV17x411w7KC (published mapping; both of these are known)
_ALPHABET = "FcwAPNKTMug3GV5Lj7EJnHpWsx4tb8haYeviqBz6rkCy12mUSDQX9RdoZf"
_MASK, _XOR = 1 << 51, 23_442_827_791_579


def site_id(url: str) -> str | None:
    """`youtube:ID` or `bilibili:BV...` (`bilibili:ep...` for an episode) of an address; None for any other address."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return None
    if host == "youtu.be":
        return _youtube(parts.path.lstrip("/"))
    if _YOUTUBE_HOSTS.fullmatch(host):
        return _of_youtube(parts)
    return _of_bilibili(parts) if _BILIBILI_HOSTS.fullmatch(host) else None


def named_site_id(text: str) -> str | None:
    """The site id that a text names: an id such as `bilibili:av170001` in its one form, or an address; else None."""
    site, colon, name = text.strip().partition(":")
    if colon and site.lower() == "youtube" and _YOUTUBE_ID.fullmatch(name):
        return f"youtube:{name}"
    if colon and site.lower() == "bilibili":
        return _bilibili(name) or (f"bilibili:{name}" if re.fullmatch("ep[0-9]+", name) else None)
    return site_id(text)


def site_id_of_clip(name: str) -> str | None:
    """`youtube:ID` of the id of a track of VoxCeleb, `idNNNNN_<YouTube id>_NNNNN`, or of a clip of one; else None."""
    found = _VOXCELEB.fullmatch(name)
    return f"youtube:{found[1]}" if found else None


def site_url(identity: str) -> str:
    """The address of a video by its site id. Raises `ValueError` for another kind of id."""
    site, _, name = identity.partition(":")
    if site == "youtube" and _YOUTUBE_ID.fullmatch(name):
        return f"https://www.youtube.com/watch?v={name}"
    if site == "bilibili" and _BV.fullmatch(name):
        return f"https://www.bilibili.com/video/{name}"
    if site == "bilibili" and re.fullmatch("ep[0-9]+", name):
        return f"https://www.bilibili.com/bangumi/play/{name}"
    raise ValueError(f"not the id of a video of a known site: {identity!r}")


def bv_of_av(av: int) -> str:
    """Bilibili's BV id of an av number below 2^51."""
    digits = list("BV1000000000")
    rest, place = (_MASK | av) ^ _XOR, len(digits) - 1
    while rest:
        rest, digit = divmod(rest, len(_ALPHABET))
        digits[place] = _ALPHABET[digit]
        place -= 1
    digits[3], digits[9] = digits[9], digits[3]
    digits[4], digits[7] = digits[7], digits[4]
    return "".join(digits)


def _youtube(text: str) -> str | None:
    found = _YOUTUBE_ID.match(text)
    return f"youtube:{found[0]}" if found else None


def _of_youtube(parts: SplitResult) -> str | None:
    # `#!v=` is an old form of the address, `u=` and `next=` carry one in another
    query = parse_qs(f"{parts.query}&{parts.fragment.lstrip('!?')}".replace("&amp;", "&"))
    if "v" in query:
        return _youtube(query["v"][0])
    if found := _YOUTUBE_PATH.match(parts.path):
        return _youtube(unquote(found[1]))
    inner = next((query[name][0] for name in ("u", "next", "q", "continue") if name in query), "")
    if inner.startswith("/"):
        inner = f"https://www.youtube.com{inner}"
    return site_id(inner) if inner.startswith("http") else None


def _bilibili(text: str) -> str | None:
    """Of a BV id or an av number, whatever follows it."""
    if found := _BV.match(text):
        return f"bilibili:BV{found[1]}"
    if (found := _AV.match(text)) and int(found[1]) < _MASK:
        return f"bilibili:{bv_of_av(int(found[1]))}"
    return None


def _of_bilibili(parts: SplitResult) -> str | None:
    query = {name.lower(): values[0] for name, values in parse_qs(parts.query).items()}
    for name, prefix in (("bvid", ""), ("aid", "av"), ("avid", "av")):
        if name in query and (found := _bilibili(prefix + query[name])):
            return found
    if episode := _EPISODE.match(parts.path):
        return f"bilibili:{episode[1]}"
    for part in parts.path.split("/"):
        if found := _bilibili(part):
            return found
    return None
