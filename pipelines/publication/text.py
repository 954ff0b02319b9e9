"""Other people's words (titles, uploaders, licences, urls) made harmless in Markdown and readable in every page."""

import re
import unicodedata

_PLAIN = re.compile(r"[\w .,+/%()=-]*")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-!|~>$^=])")
_BLANKS = re.compile(r"\s+")


def visible(text: object, limit: int = 200) -> str:
    """The text on one line, without control, direction and other invisible characters, of at most `limit` characters.

    A right-to-left override, for instance, would turn the words around it.
    """
    kept = (character for character in str(text) if character.isspace() or unicodedata.category(character)[0] != "C")
    shown = _BLANKS.sub(" ", "".join(kept)).strip()
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def markdown(text: object, limit: int = 200) -> str:
    """The text as Markdown that shows it, in a table or in a line: no markup, HTML, link or cell border of its own."""
    shown = visible(text, limit)
    if _PLAIN.fullmatch(shown) and not re.search(r"(^|\W)_|_(\W|$)|www\.|^[-+=]", shown):
        return shown
    shown = shown.replace("&", "&amp;")
    shown = _SPECIAL.sub(r"\\\1", shown).replace("\\>", "&gt;").replace("<", "&lt;")
    # what GitHub and the Hub turn to links by themselves
    return re.sub(r"(?i)www\.", "www&#46;", shown).replace(":", "&#58;").replace("@", "&#64;")
