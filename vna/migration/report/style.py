"""How a report looks: on a light and a dark screen, and on paper."""

from __future__ import annotations

HATCH = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" class="hatch-ground"/><rect width="3" height="6" class="hatch-line"/>'
    "</pattern></defs></svg>"
)
"""What exceptions are filled with: to be told from the rest without colours."""

CSS = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --band: #f3f5f7;
  --good: #1a6dae; --bad: #b42318; --pale: #aab4be; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181d; --ink: #e8ecf0; --soft: #a3adb8; --line: #39424c; --band: #1e242b;
  --good: #62b0ec; --bad: #ff8f83; --pale: #66727e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; border-top: 2px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .5rem 0; max-width: 50rem; }
.soft { color: var(--soft); }
.verdict { border-left: .35rem solid var(--pale); background: var(--band); padding: .6rem .9rem; max-width: none; }
.verdict.good { border-color: var(--good); }
.verdict.bad { border-color: var(--bad); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl.facts div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dl.facts dt { color: var(--soft); font-size: .85rem; }
dl.facts dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { background: var(--band); }
th.n, td.n { text-align: right; white-space: nowrap; }
td.u { overflow-wrap: anywhere; min-width: 9rem; }
tbody th { font-weight: 600; }
dt { font-weight: 600; }
dl.facts dt { font-weight: 400; }
pre { background: var(--band); padding: .75rem; overflow-x: auto; font-size: .85rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; }
svg[role=img] { width: 100%; height: auto; max-width: 52rem; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .rung { stroke: var(--line); fill: none; }
svg .line { stroke: var(--good); stroke-width: 2; fill: none; }
svg .area { fill: var(--good); opacity: .15; }
svg .goal { stroke: var(--soft); stroke-dasharray: 5 4; fill: none; }
svg .verified { fill: var(--good); }
svg .exception { fill: url(#hatch); stroke: var(--bad); stroke-width: .75; }
svg .rest { fill: var(--pale); }
svg .hatch-ground { fill: var(--paper); }
svg .hatch-line { fill: var(--bad); }
summary { cursor: pointer; color: var(--soft); }
@media print {
  :root { color-scheme: light; --paper: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb; --band: #f3f3f3;
    --good: #1a6dae; --bad: #b42318; --pale: #aab4be; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  figure, dl.facts, tr, pre { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  rect, path, thead th { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
