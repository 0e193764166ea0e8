"""Render README.md, docs/*.md and their like to build/docs/*.html, formulas as MathML, to be read without a network.

python docs/render.py
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
OUT = ROOT / "build" / "docs"
PAGES = {
    **{ROOT / f"{name}.md": name for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")},
    **{path: path.stem for path in sorted(DOCS.glob("*.md"))},
    ROOT / "examples" / "README.md": "examples",
    ROOT / "examples" / "gpu" / "README.md": "examples_gpu",
}
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 0 auto; padding: 1.2rem; font: 16px/1.55 system-ui, sans-serif; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #8885; padding: .35rem .6rem; }
td, th { text-align: left; vertical-align: top; } pre { overflow-x: auto; padding: .8rem; background: #8881; }
code { font-size: .92em; } :not(pre) > code { overflow-wrap: anywhere; } td code { white-space: nowrap; }
img { max-width: 100%; } math[display=block] { overflow-x: auto; margin: .8rem 0; }
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
    body = re.sub(r'(href|src)="(?!\w+:)([^"#]+)(#[^"]*)?"', lambda found: _address(path, *found.groups("")), body)
    title = html.escape(text.splitlines()[0].lstrip("# "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )


def _address(page: Path, kind: str, target: str, anchor: str) -> str:
    """Where a link of a page leads: to another page that is rendered, or to the file itself."""
    there = (page.parent / target).resolve()
    name = PAGES.get(there) or PAGES.get(there / "README.md")
    return f'{kind}="{f"{name}.html" if name else there.as_uri()}{anchor}"'


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for source, name in PAGES.items():
        (OUT / f"{name}.html").write_text(render(source), encoding="utf-8")
        print(OUT / f"{name}.html")
