/** Markup and style of `<streamgen-player>`, for its shadow root. */

export const PLAYER_MARKUP = `
<canvas id="glow" aria-hidden="true"></canvas>
<div id="frame" role="group" aria-label="Live stream">
  <div class="rest" aria-hidden="true"><i></i><i></i><i></i></div>
  <video id="video" playsinline disablepictureinpicture tabindex="-1" aria-label="Live generated picture and sound"></video>
  <span id="badge" aria-hidden="true"></span>
  <button id="play" type="button">
    <svg viewBox="0 0 48 48" aria-hidden="true"><path d="M18.5 13.4v21.2c0 1.2 1.3 1.9 2.3 1.3l16.6-10.6c.9-.6.9-2 0-2.6L20.8 12.1c-1-.6-2.3.1-2.3 1.3z"/></svg>
    <i class="ring"></i>
  </button>
  <p id="notice" aria-hidden="true"></p>
  <button id="sound" type="button" hidden>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.5v5h3.4L12 18.6V5.4L7.4 9.5z"/><path class="line" d="M15.5 9.8l4.4 4.4m0-4.4l-4.4 4.4"/></svg>
    Turn sound on
  </button>
  <div class="controls">
    <button id="mute" type="button" aria-pressed="false">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.5v5h3.4L12 18.6V5.4L7.4 9.5z"/><path class="line waves" d="M15 9.2a4 4 0 0 1 0 5.6M17.4 6.8a7.4 7.4 0 0 1 0 10.4"/><path class="line cross" d="M15.5 9.8l4.4 4.4m0-4.4l-4.4 4.4"/></svg>
    </button>
    <button id="stop" type="button" aria-label="Stop" title="Stop">
      <svg viewBox="0 0 24 24" aria-hidden="true"><rect x="7" y="7" width="10" height="10" rx="1.6"/></svg>
    </button>
    <button id="full" type="button" aria-label="Full screen" title="Full screen (f)">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path class="line" d="M5 9.5V5h4.5M14.5 5H19v4.500M19 14.5V19h-4.500M9.500 19H5v-4.500"/></svg>
    </button>
  </div>
</div>
<p id="status" class="spoken" role="status"></p>
`;

// A smooth step from the canvas' edge to well behind the picture (whose own edge is at 15 %): no border can be seen.
const RAMP = [[0, 0], [3, 0.03], [6, 0.11], [9, 0.24], [12, 0.42], [15, 0.62], [18, 0.8], [21, 0.93], [24, 1]];
const FALL_OFF = [...RAMP, ...RAMP.map(([at = 0, light]) => [100 - at, light]).reverse()]
  .map(([at, light]) => `rgb(0 0 0 / ${light}) ${at}%`).join(", ");

export const PLAYER_STYLE = `
:host { display: block; position: relative; aspect-ratio: 5 / 3; isolation: isolate; }
[hidden] { display: none !important; }
#glow {
  position: absolute; left: -22%; top: -26%; width: 144%; height: 152%; z-index: -1; pointer-events: none;
  opacity: 0; transition: opacity 1.4s ease; filter: saturate(1.45);
  -webkit-mask: linear-gradient(to right, ${FALL_OFF}), linear-gradient(to bottom, ${FALL_OFF});
  -webkit-mask-composite: source-in;
  mask: linear-gradient(to right, ${FALL_OFF}), linear-gradient(to bottom, ${FALL_OFF});
  mask-composite: intersect;
}
#glow.on { opacity: 0.62; }
#frame {
  position: absolute; inset: 0; overflow: hidden; border-radius: var(--radius, 20px); background: #07080c;
  box-shadow: 0 0 0 1px rgb(255 255 255 / 0.08), 0 8px 40px rgb(0 0 0 / 0.45);
}
#frame:fullscreen { border-radius: 0; background: #000; }
#frame:fullscreen video { inset: 0; width: 100%; height: 100%; object-fit: contain; }
video {
  position: absolute; inset: -1px; width: calc(100% + 2px); height: calc(100% + 2px); object-fit: cover; opacity: 0; outline: none;
  transition: opacity 0.5s ease;
}
:is([data-state="live"], [data-state="slate"]) video { opacity: 1; }
[data-state="buffering"] video { opacity: 0.75; }
[data-state="offline"] video { opacity: 0.14; }

.rest { position: absolute; inset: 0; transition: opacity 0.6s ease; background: #090b13; }
.rest i { position: absolute; width: 78%; aspect-ratio: 1; border-radius: 50%; animation: wander 18s ease-in-out infinite alternate; }
.rest i:nth-child(1) { left: -14%; top: -34%; background: radial-gradient(closest-side, rgb(84 98 214 / 0.62), transparent); }
.rest i:nth-child(2) { right: -16%; top: 2%; background: radial-gradient(closest-side, rgb(214 96 104 / 0.46), transparent);
  animation-duration: 23s; animation-direction: alternate-reverse; }
.rest i:nth-child(3) { left: 18%; top: 34%; background: radial-gradient(closest-side, rgb(34 150 156 / 0.46), transparent);
  animation-duration: 29s; }
@keyframes wander { from { transform: translate(-5%, 4%) scale(0.94); } to { transform: translate(9%, -6%) scale(1.1); } }
:is([data-state="live"], [data-state="buffering"], [data-state="slate"]) .rest { opacity: 0; }
:is([data-state="live"], [data-state="buffering"], [data-state="slate"]) .rest i { animation: none; }

#badge {
  position: absolute; left: 16px; top: 16px; display: flex; align-items: center; gap: 8px; padding: 7px 12px 7px 10px;
  border-radius: 99px; font: 600 12px/1 var(--font, sans-serif); letter-spacing: 0.03em; color: #fff;
  background: rgb(8 10 16 / 0.6); box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.1); transition: opacity 0.4s ease;
  font-variant-numeric: tabular-nums;
}
#badge::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: #ffc24d; }
[data-state="idle"] #badge { opacity: 0; }
[data-state="live"] #badge::before { background: #ff4d5e; box-shadow: 0 0 10px rgb(255 77 94 / 0.8); }
[data-state="offline"] #badge::before { background: #ff8080; }

#play {
  position: absolute; left: 50%; top: 50%; width: 108px; height: 108px; margin: -54px; padding: 0; border: 0;
  border-radius: 50%; cursor: pointer; color: #fff; background: rgb(255 255 255 / 0.15);
  box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.3), 0 16px 50px rgb(0 0 0 / 0.4);
  -webkit-backdrop-filter: blur(14px); backdrop-filter: blur(14px);
  transition: opacity 0.3s ease, transform 0.3s cubic-bezier(.2, .9, .3, 1.3), background 0.2s ease;
}
#play:hover { background: rgb(255 255 255 / 0.24); transform: scale(1.05); }
#play:active { transform: scale(0.97); }
#play svg { width: 60px; height: 60px; fill: currentColor; display: block; margin: auto; transform: translateX(2px); }
#play .ring { position: absolute; inset: -7px; border-radius: 50%; border: 2px solid transparent; opacity: 0; }
[data-state="connecting"] #play { pointer-events: none; }
[data-state="connecting"] #play svg { opacity: 0.4; }
[data-state="connecting"] #play .ring {
  opacity: 1; border-top-color: #fff; border-right-color: rgb(255 255 255 / 0.4); animation: turn 0.9s linear infinite;
}
:is([data-state="live"], [data-state="buffering"], [data-state="slate"]) #play { opacity: 0; visibility: hidden; transform: scale(1.25); }
@keyframes turn { to { transform: rotate(1turn); } }

#notice {
  position: absolute; left: 8%; right: 8%; top: calc(50% + 74px); margin: 0; text-align: center; text-wrap: balance;
  font: 500 15px/1.45 var(--font, sans-serif); color: #fff; text-shadow: 0 1px 14px #000, 0 0 3px rgb(0 0 0 / 0.7);
}
:is([data-state="buffering"], [data-state="slate"]) #notice { top: auto; bottom: 20px; }

#sound {
  position: absolute; left: 50%; bottom: 20px; translate: -50%; display: flex; align-items: center; gap: 8px; border: 0;
  padding: 11px 20px 11px 14px; border-radius: 99px; cursor: pointer; white-space: nowrap;
  font: 600 15px/1.2 var(--font, sans-serif); color: #0a0c12; background: #fff; box-shadow: 0 10px 34px rgb(0 0 0 / 0.5);
}
#sound svg { width: 22px; height: 22px; fill: currentColor; }
:is([data-state="idle"], [data-state="offline"], [data-state="connecting"]) #sound { display: none; }

.controls {
  position: absolute; right: 14px; bottom: 14px; display: flex; gap: 6px; opacity: 0; transition: opacity 0.3s ease;
}
[data-controls] .controls, .controls:focus-within, .controls:has([aria-pressed="true"]) { opacity: 1; }
:is([data-state="idle"], [data-state="offline"], [data-state="connecting"]) .controls { visibility: hidden; }
.controls button {
  width: 42px; height: 42px; padding: 0; border: 0; border-radius: 50%; cursor: pointer; color: #fff;
  background: rgb(8 10 16 / 0.6); box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.12); transition: background 0.2s ease;
}
.controls button:hover { background: rgb(40 46 64 / 0.9); }
.controls svg { width: 22px; height: 22px; display: block; margin: auto; fill: currentColor; }
.line { fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.cross, [aria-pressed="true"] .waves { display: none; }
[aria-pressed="true"] .cross { display: inline; }
button:focus-visible { outline: 2px solid #fff; outline-offset: 3px; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 560px) {
  #play { width: 84px; height: 84px; margin: -42px; }
  #play svg { width: 46px; height: 46px; }
  #notice { top: calc(50% + 54px); font-size: 13px; }
  #badge { left: 12px; top: 12px; }
  .controls { right: 10px; bottom: 10px; }
}
@media (hover: none) { .controls { opacity: 0.9; } }
@media (prefers-reduced-motion: reduce) {
  * { transition-duration: 0.01s !important; }
  .rest i { animation: none; }
  [data-state="connecting"] #play .ring { animation-duration: 3s; }
}
`;
