// Runs in the page before the page's own modules, and only writes down: bench/viewer.py fetches the lists, and what
// they mean is worked out in Python. All times are milliseconds of performance.now().
{
  const KEPT = 20_000; // of each list between two fetches; further entries are counted, not kept
  const SKEW_EVERY_MS = 500;
  const log = { clicks: [], enters: [], sessions: [], pictures: [], sent: [], messages: [], playout: [], lost: 0 };
  const keep = (list, entry) => {
    if (list.length < KEPT) list.push(entry);
    else log.lost += 1;
  };

  window.takeObserved = () => {
    const taken = JSON.parse(JSON.stringify(log));
    for (const list of Object.values(log)) if (Array.isArray(list)) list.length = 0;
    return taken;
  };

  addEventListener("click", (event) => keep(log.clicks, event.timeStamp), true);
  addEventListener("keydown", (event) => {
    if (event.key === "Enter") keep(log.enters, event.timeStamp);
  }, true);

  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => keep(log.messages, [performance.now(), data]));
    }

    send(data) {
      keep(log.sent, [performance.now(), data]);
      super.send(data);
    }
  };

  customElements.whenDefined("streamgen-player").then(() => {
    const player = document.querySelector("streamgen-player");
    let session = null;
    player.addEventListener("session", ({ detail }) => {
      session = detail.session;
      keep(log.sessions, [performance.now(), session.rtpOffset, session.mediaTimeS]);
    });
    const presented = (_now, { rtpTimestamp, presentationTime, expectedDisplayTime }) => {
      player.video.requestVideoFrameCallback(presented);
      // The later of the two: when the compositor got the picture, and when it is expected on the screen.
      keep(log.pictures, [rtpTimestamp ?? null, Math.max(presentationTime, expectedDisplayTime)]);
    };
    player.video.requestVideoFrameCallback(presented);

    const reception = async () => {
      const found = {};
      if (session === null) return found;
      for (const entry of (await session.peer.getStats()).values()) {
        if (entry.type === "inbound-rtp") found[entry.kind] = entry;
      }
      return found;
    };
    window.observedReception = async () => JSON.parse(JSON.stringify(await reception()));
    setInterval(async () => {
      const { video, audio } = await reception();
      if (video?.estimatedPlayoutTimestamp > 0 && audio?.estimatedPlayoutTimestamp > 0) {
        keep(log.playout, [performance.now(), video.estimatedPlayoutTimestamp, audio.estimatedPlayoutTimestamp]);
      }
    }, SKEW_EVERY_MS);
  });
}
