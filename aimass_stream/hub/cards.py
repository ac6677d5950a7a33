"""A model's card: Markdown (CommonMark with tables) to HTML that can harm nobody who looks at it."""

from __future__ import annotations

import functools

import nh3
from markdown_it import MarkdownIt

TAGS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li",
        "a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"}
NESTED = 20  # lists in lists: deeper ones take long and are read by nobody

_markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": NESTED}).enable(["table", "strikethrough"])


@functools.lru_cache(maxsize=256)
def rendered(card: str) -> str:
    """The card as HTML, which takes some hundredths of a second for the largest: call it in a thread.

    Pictures are left out, and links tell nobody where somebody came from.
    """
    html = _markdown.render(card)
    return nh3.clean(html, tags=TAGS, attributes={"a": {"href", "title"}, "ol": {"start"}},
                     url_schemes={"https", "http", "mailto"}, link_rel="noopener noreferrer nofollow")
