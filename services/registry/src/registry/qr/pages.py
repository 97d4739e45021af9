"""Pure: the page a driver sees whose code leads nowhere. Of what was sent it repeats nothing."""

import base64
import hashlib
from html import escape
from typing import Final

from registry.qr.words import PAGES, Language, Page

_STYLE: Final = """
:root { color-scheme: light dark }
body { margin: 0; font: 1.125rem/1.55 system-ui, sans-serif; color: #1b1b1f; background: #f3f3f6 }
main { box-sizing: border-box; max-width: 34rem; margin: 0 auto; padding: 12vh 1.5rem 3rem }
article { padding: 2rem; border-radius: 1rem; background: #fff; border-top: .5rem solid #b3261e }
article.calm { border-color: #5b5f6b }
svg { width: 3rem; height: 3rem; color: #b3261e }
.calm svg { color: #5b5f6b }
h1 { margin: .75rem 0 1rem; font-size: 1.6rem; line-height: 1.25 }
p { margin: 0 0 1rem }
footer { margin: 1.5rem .5rem 0; color: #55565e; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) {
  body { color: #eceaf0; background: #121215 }
  article { background: #1f1f24; border-color: #f2938c }
  article.calm { border-color: #9a9eab }
  svg { color: #f2938c }
  .calm svg { color: #9a9eab }
  footer { color: #b5b5bf }
}
"""
_SIGN: Final = (
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M12 3 2 20.5h20z"/><path d="M12 10v4.5M12 17.4v.1"/></svg>'
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Content-Type-Options": "nosniff",
}


def html(page: Page, language: Language, brand: str | None) -> str:
    """brand: whose domain it is; None: nobody's."""
    words = PAGES[page][language]
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in words.text.splitlines())
    calm = ' class="calm"' if page == "out-of-service" else ""
    whose = f"<footer>{escape(brand)}</footer>" if brand else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(words.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><article{calm}>{_SIGN}<h1>{escape(words.title)}</h1>{paragraphs}</article>"
        f"{whose}</main></body></html>"
    )
