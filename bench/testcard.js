// Runs beside observe.js on a page that plays the test card, and writes down what can be seen and heard of it: for each
// presented picture its number, the colour of the band and whether the disc is lit, and for each beep when it began.
// All times are milliseconds of performance.now(); what they mean is worked out in Python (bench/glass.py).
{
  const BITS = 20;
  const PING_EVERY_MS = 250;
  const KEPT = 20_000; // of each list between two fetches; further entries are counted, not kept
  const log = { read: [], beeps: [], clocks: [], lost: 0 };
  const keep = (list, entry) => {
    if (list.length < KEPT) list.push(entry);
    else log.lost += 1;
  };

  window.takeRead = () => {
    const taken = JSON.parse(JSON.stringify(log));
    for (const list of Object.values(log)) if (Array.isArray(list)) list.length = 0;
    return taken;
  };

  // Which media time leaves the server now, from a connection of its own: the page's may carry other messages.
  const clock = () => {
    const socket = new WebSocket(`ws://${location.host}/steer/main`);
    window.panic = (action) => {
      const at = performance.now();
      socket.send(JSON.stringify({ type: "panic", id: `panic-${at}`, action }));
      return at;
    };
    const asked = new Map();
    let number = 0;
    const timer = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      const id = `clock-${(number += 1)}`;
      asked.set(id, performance.now());
      socket.send(JSON.stringify({ type: "ping", id, t: 0 }));
    }, PING_EVERY_MS);
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      const sent = asked.get(message.id);
      if (message.type !== "pong" || sent === undefined) return;
      asked.delete(message.id);
      keep(log.clocks, [sent, performance.now(), message.server_media_time]);
    });
    socket.addEventListener("close", () => clearInterval(timer));
  };

  // A worklet looks at every sample. It tells the time of its own clock at which it got loud after 100 ms of quiet.
  const EAR = `registerProcessor("ear", class extends AudioWorkletProcessor {
    quiet = 0;
    process([[samples]]) {
      if (samples === undefined) return true;
      for (let place = 0; place < samples.length; place += 1) {
        if (Math.abs(samples[place]) < 0.1) { this.quiet += 1; continue; }
        if (this.quiet > sampleRate / 10) this.port.postMessage((currentFrame + place) / sampleRate);
        this.quiet = 0;
      }
      return true;
    }
  });`;

  const listen = async (stream) => {
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.resume();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([EAR], { type: "text/javascript" })));
    const ear = new AudioWorkletNode(context, "ear", { numberOfInputs: 1, numberOfOutputs: 0 });
    ear.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      keep(log.beeps, performanceTime + 1000 * (data - contextTime));
    };
    context.createMediaStreamSource(stream).connect(ear);
  };

  customElements.whenDefined("streamgen-player").then(() => {
    const player = document.querySelector("streamgen-player");
    const { video } = player;
    // Nearest pixels of shrunken pieces: the middle of each block, of the band and of the disc.
    const canvas = new OffscreenCanvas(BITS, 4).getContext("2d", { willReadFrequently: true });
    canvas.imageSmoothingEnabled = false;
    const piece = (x, y, width, height, at, wide, high) => {
      const [w, h] = [video.videoWidth / 640, video.videoHeight / 360];
      canvas.drawImage(video, x * w, y * h, width * w, height * h, 0, at, wide, high);
    };
    const luma = (pixels, place) => (pixels[4 * place] + pixels[4 * place + 1] + pixels[4 * place + 2]) / 3;
    const presented = (_now, { rtpTimestamp, presentationTime, expectedDisplayTime }) => {
      video.requestVideoFrameCallback(presented);
      piece(0, 296, 640, 64, 0, BITS, 2);
      piece(200, 126, 400, 16, 2, 1, 1);
      piece(86, 176, 8, 8, 3, 1, 1);
      const { data } = canvas.getImageData(0, 0, BITS, 4);
      let number = 0;
      for (let place = 0; place < BITS; place += 1) {
        const [bit, inverted] = [luma(data, place) > 128, luma(data, BITS + place) > 128];
        if (bit === inverted) number = NaN;
        number = 2 * number + Number(bit);
      }
      const band = 4 * 2 * BITS;
      const shown = Math.max(presentationTime, expectedDisplayTime);
      const colour = [data[band], data[band + 1], data[band + 2]];
      const lit = luma(data, 3 * BITS) > 128;
      keep(log.read, [rtpTimestamp ?? null, shown, Number.isNaN(number) ? null : number, colour, lit]);
    };
    video.requestVideoFrameCallback(presented);
    player.addEventListener("session", () => clock(), { once: true });
    video.addEventListener("playing", () => listen(video.srcObject), { once: true });
  });
}
