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

/**
 * The candidates of a description as a trickle ICE fragment (RFC 8840), all in its first section, since there is one
 * transport for all; null when it has none. Names of multicast DNS are left out: who can resolve them is near enough
 * to be reached without.
 *
 * @param {string} sdp
 */
export function trickleFragment(sdp) {
  const lines = sdp.split(/\r?\n/);
  const found = lines.filter((line) => line.startsWith("a=candidate:") && !line.includes(".local "));
  const needed = ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].map((name) => lines.find((line) => line.startsWith(name)));
  if (found.length === 0 || needed.includes(undefined)) return null;
  return [...needed, ...new Set(found), "a=end-of-candidates", ""].join("\r\n");
}
