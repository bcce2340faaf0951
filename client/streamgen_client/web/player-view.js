/** Markup and style of `<streamgen-player>`, for its shadow root. */

export const PLAYER_MARKUP = `
<canvas id="glow" aria-hidden="true"></canvas>
<div id="frame" role="group" aria-label="Live stream">
  <div class="rest" aria-hidden="true"></div>
  <video id="video" playsinline disablepictureinpicture tabindex="-1" aria-label="Live generated picture and sound"></video>
  <span id="badge"></span>
  <button id="play" type="button">
    <svg viewBox="0 0 48 48" aria-hidden="true"><path d="M18.5 13.4v21.2c0 1.2 1.3 1.9 2.3 1.3l16.6-10.6c.9-.6.9-2 0-2.6L20.8 12.1c-1-.6-2.3.1-2.3 1.3z"/></svg>
    <i class="ring"></i>
  </button>
  <p id="notice"></p>
  <div class="controls">
    <button id="mute" type="button" aria-pressed="false">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.5v5h3.4L12 18.6V5.4L7.4 9.5z"/><path class="waves" d="M15 9.2a4 4 0 0 1 0 5.6M17.4 6.8a7.4 7.4 0 0 1 0 10.4"/><path class="cross" d="M15.5 9.8l4.4 4.4m0-4.4l-4.4 4.4"/></svg>
    </button>
    <button id="stop" type="button" aria-label="Stop" title="Stop">
      <svg viewBox="0 0 24 24" aria-hidden="true"><rect x="7" y="7" width="10" height="10" rx="1.6"/></svg>
    </button>
    <button id="full" type="button" aria-label="Full screen" title="Full screen (f)">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path class="waves" d="M5 9.5V5h4.5M14.5 5H19v4.5M19 14.5V19h-4.5M9.5 19H5v-4.5"/></svg>
    </button>
  </div>
</div>
<p id="status" class="spoken" role="status"></p>
`;

export const PLAYER_STYLE = `
:host { display: block; position: relative; aspect-ratio: 5 / 3; --accent: var(--tint, rgb(150 170 255)); }
[hidden] { display: none; }
#glow {
  position: absolute; inset: -16% -15%; width: 130%; height: 132%; pointer-events: none;
  opacity: 0; transition: opacity 1.2s ease; filter: saturate(1.5);
  -webkit-mask-image: radial-gradient(closest-side, #000 38%, rgb(0 0 0 / 0.55) 62%, rgb(0 0 0 / 0.14) 84%, transparent);
  mask-image: radial-gradient(closest-side, #000 38%, rgb(0 0 0 / 0.55) 62%, rgb(0 0 0 / 0.14) 84%, transparent);
}
:host(:state(shining)) #glow, #glow.on { opacity: 0.75; }
#frame {
  position: absolute; inset: 0; overflow: hidden; border-radius: var(--radius, 22px); background: #07080c;
  box-shadow: 0 0 0 1px rgb(255 255 255 / 0.07), 0 30px 80px -20px rgb(0 0 0 / 0.75);
}
#frame:fullscreen { border-radius: 0; background: #000; }
video {
  position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; image-rendering: auto;
  opacity: 0; transition: opacity 0.5s ease; outline: none;
}
[data-state="live"] video, [data-state="buffering"] video { opacity: 1; }
[data-state="buffering"] video { opacity: 0.82; }
[data-state="offline"] video { opacity: 0.16; }

.rest { position: absolute; inset: -30%; transition: opacity 0.6s ease; background:
  radial-gradient(38% 42% at 34% 38%, rgb(70 84 180 / 0.55), transparent 70%),
  radial-gradient(34% 40% at 68% 58%, rgb(196 92 96 / 0.42), transparent 70%),
  radial-gradient(40% 36% at 52% 78%, rgb(30 120 130 / 0.40), transparent 72%), #0a0c14; }
[data-state="live"] .rest, [data-state="buffering"] .rest { opacity: 0; }

#badge {
  position: absolute; left: 16px; top: 16px; display: flex; align-items: center; gap: 8px; padding: 6px 12px 6px 10px;
  border-radius: 99px; font: 600 12px/1 var(--font, sans-serif); letter-spacing: 0.04em; color: #fff;
  background: rgb(8 10 16 / 0.55); box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.1); transition: opacity 0.4s ease;
}
#badge::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: #8b93a7; }
[data-state="idle"] #badge { opacity: 0; }
[data-state="live"] #badge::before { background: #ff4d5e; box-shadow: 0 0 10px rgb(255 77 94 / 0.8); }
[data-state="buffering"] #badge::before, [data-state="connecting"] #badge::before { background: #ffc24d; }

#play {
  position: absolute; left: 50%; top: 50%; width: 104px; height: 104px; margin: -52px; padding: 0; border: 0;
  border-radius: 50%; cursor: pointer; color: #fff; background: rgb(255 255 255 / 0.13);
  box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.28), 0 16px 50px rgb(0 0 0 / 0.45);
  -webkit-backdrop-filter: blur(14px); backdrop-filter: blur(14px);
  transition: opacity 0.3s ease, transform 0.3s cubic-bezier(.2, .9, .3, 1.3), background 0.2s ease;
}
#play:hover { background: rgb(255 255 255 / 0.22); transform: scale(1.05); }
#play:active { transform: scale(0.97); }
#play svg { width: 56px; height: 56px; fill: currentColor; display: block; margin: auto; }
#play .ring { position: absolute; inset: -7px; border-radius: 50%; border: 2px solid transparent; opacity: 0; }
[data-state="connecting"] #play { pointer-events: none; }
[data-state="connecting"] #play svg { opacity: 0.4; }
[data-state="connecting"] #play .ring {
  opacity: 1; border-top-color: #fff; border-right-color: rgb(255 255 255 / 0.4); animation: turn 0.9s linear infinite;
}
[data-state="live"] #play, [data-state="buffering"] #play { opacity: 0; pointer-events: none; transform: scale(1.25); }
@keyframes turn { to { transform: rotate(1turn); } }

#notice {
  position: absolute; left: 8%; right: 8%; top: calc(50% + 76px); margin: 0; text-align: center; text-wrap: balance;
  font: 500 15px/1.45 var(--font, sans-serif); color: rgb(255 255 255 / 0.82); text-shadow: 0 1px 12px #000;
}
.controls {
  position: absolute; right: 14px; bottom: 14px; display: flex; gap: 6px; opacity: 0; transition: opacity 0.3s ease;
}
[data-state="live"][data-controls] .controls, [data-state="buffering"][data-controls] .controls,
[data-state="live"] .controls:focus-within, .controls:has([aria-pressed="true"]) { opacity: 1; }
[data-state="idle"] .controls, [data-state="offline"] .controls, [data-state="connecting"] .controls { visibility: hidden; }
.controls button {
  width: 42px; height: 42px; padding: 0; border: 0; border-radius: 50%; cursor: pointer; color: #fff;
  background: rgb(8 10 16 / 0.6); box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.12); transition: background 0.2s ease;
}
.controls button:hover { background: rgb(40 46 64 / 0.9); }
.controls svg { width: 22px; height: 22px; display: block; margin: auto; fill: currentColor; }
.waves, .cross { fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round; stroke-linejoin: round; }
.cross, [aria-pressed="true"] .waves { display: none; }
[aria-pressed="true"] .cross { display: inline; }
button:focus-visible { outline: 2px solid #fff; outline-offset: 3px; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 560px) {
  #play { width: 80px; height: 80px; margin: -40px; }
  #play svg { width: 44px; height: 44px; }
  #notice { top: calc(50% + 56px); font-size: 13px; }
  #badge { left: 12px; top: 12px; }
}
@media (hover: none) { [data-state="live"] .controls { opacity: 0.85; } }
@media (prefers-reduced-motion: reduce) {
  * { transition-duration: 0.01s !important; }
  [data-state="connecting"] #play .ring { animation-duration: 3s; }
}
`;
