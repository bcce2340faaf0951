/** What this page changes in its own offer. No I/O. */

const STEREO = { stereo: "1", "sprop-stereo": "1" };

/**
 * Ask for stereo: Opus is decoded to one channel unless the receiver says otherwise (RFC 7587, section 6.1).
 *
 * @param {string} sdp
 */
export function withStereo(sdp) {
  const payload = /^a=rtpmap:(\d+) opus\/48000\/2\s*$/im.exec(sdp)?.[1];
  if (payload === undefined) return sdp;
  const format = new RegExp(`^a=fmtp:${payload} ([^\\r\\n]*)`, "m");
  const said = format.exec(sdp)?.[1];
  if (said === undefined) {
    return sdp.replace(new RegExp(`^(a=rtpmap:${payload} [^\\r\\n]*)(\\r?\\n)`, "m"), `$1$2a=fmtp:${payload} ${parameters("")}$2`);
  }
  return sdp.replace(format, `a=fmtp:${payload} ${parameters(said)}`);
}

/** The parameters with those of stereo added; what is said already stays. @param {string} said */
function parameters(said) {
  const list = said.split(";").map((parameter) => parameter.trim()).filter((parameter) => parameter !== "");
  for (const [name, value] of Object.entries(STEREO)) {
    if (!list.some((parameter) => parameter.startsWith(`${name}=`))) list.push(`${name}=${value}`);
  }
  return list.join(";");
}
