"""Render docs/*.md to build/docs/*.html, formulas as MathML, so that they can be read without a network.

python docs/render.py
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

DOCS = Path(__file__).parent
OUT = DOCS.parent / "build" / "docs"
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 0 auto; padding: 1.2rem; font: 16px/1.55 system-ui, sans-serif; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #8885; padding: .35rem .6rem; }
td, th { text-align: left; vertical-align: top; } pre { overflow-x: auto; padding: .8rem; background: #8881; }
code { font-size: .92em; } img { max-width: 100%; } math[display=block] { overflow-x: auto; margin: .8rem 0; }
"""


def render(path: Path) -> str:
    """One page."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table").use(anchors_plugin, max_level=3)
    parser.use(
        dollarmath_plugin,
        renderer=lambda text, options: convert(text, display="block" if options.get("display_mode") else "inline"),
    )
    text = path.read_text(encoding="utf-8")
    body = parser.render(text)
    body = re.sub(r'href="(?!https?:)([\w./-]*?)\.md(#[^"]*)?"', r'href="\1.html\2"', body)
    body = re.sub(r'src="images/', f'src="{(DOCS / "images").as_posix()}/', body)
    title = html.escape(text.splitlines()[0].lstrip("# "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for source in sorted(DOCS.glob("*.md")):
        (OUT / f"{source.stem}.html").write_text(render(source), encoding="utf-8")
        print(OUT / f"{source.stem}.html")
