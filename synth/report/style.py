"""What the page of a dataset looks like, beyond the style it shares with pages of scores."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
body { max-width: 1100px; }
.banner { padding: 8px 12px; border-left: 4px solid var(--one); background: var(--tint); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 14px 0; }
.facts div { padding: 8px 12px; background: var(--tint); border-radius: 8px; overflow-wrap: anywhere; }
.facts b { display: block; font-size: 18px; } .facts span { color: var(--soft); font-size: 13px; }
.controls { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: end; margin: 8px 0; border: 0; padding: 0; }
.controls legend { float: left; color: var(--soft); font-size: 13px; padding: 4px 4px 0 0; }
.controls label { font-size: 13px; color: var(--soft); }
.controls select { display: block; max-width: 190px; } .layers label { color: var(--ink); padding: 3px 0; }
select, button { font: inherit; color: inherit; background: var(--tint); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 8px; } button { cursor: pointer; } button:disabled { opacity: .45; cursor: default; }
:focus-visible { outline: 3px solid var(--one); outline-offset: 2px; }
.swatch { width: 26px; height: 12px; display: inline-block; vertical-align: middle; background: #15191f;
  border-radius: 3px; margin: 0 4px; } .swatch line { stroke-width: 4; }
#sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(148px, 44%), 1fr)); gap: 10px; }
.thumb { padding: 0 0 4px; overflow: hidden; text-align: left; display: flex; flex-direction: column; }
.thumb[data-gate=rejected] { border-color: var(--bad); } .thumb[data-gate=undecided] { border-color: var(--open); }
.thumb .frame { height: 160px; align-items: center; }
.plots { align-items: start; } .stages .series0 { fill: var(--soft); } .stages .series2 { fill: var(--one); }
.thumb .label { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
  font-size: 12px; line-height: 1.35; padding: 4px 8px 0; color: var(--soft); overflow-wrap: anywhere; }
.frame { display: flex; justify-content: center; background: #000; }
.stack { position: relative; aspect-ratio: var(--ratio); width: min(100%, calc(var(--high) * var(--ratio))); }
.stack > * { position: absolute; inset: 0; width: 100%; height: 100%; }
.thumb { --high: 160px; } #view-picture { --high: 78vh; }
.frame path { fill-opacity: .13; fill-rule: evenodd; stroke-width: 1.2; vector-effect: non-scaling-stroke; }
#view-picture .frame path { stroke-width: 1.8; }
.pager { display: flex; gap: 10px; align-items: center; flex-wrap: wrap; margin: 10px 0; }
#status { flex: 1 1 200px; }
dialog { border: 1px solid var(--line); border-radius: 10px; background: var(--paper); color: var(--ink); padding: 0;
  width: min(1060px, 96vw); max-height: 94vh; } dialog::backdrop { background: #000b; }
dialog header { display: flex; gap: 8px; align-items: center; padding: 10px 14px; position: sticky; top: 0; z-index: 1;
  background: var(--paper); border-bottom: 1px solid var(--line); }
dialog h2 { margin: 0; flex: 1; font-size: 16px; overflow-wrap: anywhere; }
.pane { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); }
#view-picture { background: #000; align-self: start; } #view-words { padding: 12px 16px; }
#view-words h3 { margin: 12px 0 2px; } #view-words ul { margin: 0; padding-left: 18px; }
[aria-pressed=true] { background: var(--one); color: var(--paper); }
.text { white-space: pre-line; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 0; font-size: 13px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.why { margin-top: 16px; }
.examples { display: flex; flex-wrap: wrap; gap: 8px; }
.examples button { padding: 0; line-height: 0; overflow: hidden; }
.examples img { height: 96px; width: auto; display: block; }
details { margin: 8px 0; } summary { cursor: pointer; }
pre { background: var(--tint); padding: 12px; border-radius: 8px; overflow-x: auto; font-size: 12px; }
.span.fail, .point.fail { stroke: var(--bad); }
@media (max-width: 600px) { body { padding: 16px 12px 40px; } #view-picture { --high: 60vh; }
  dialog { width: 100vw; max-width: 100vw; max-height: 100vh; height: 100vh; border-radius: 0; border: 0; margin: 0; } }
"""
