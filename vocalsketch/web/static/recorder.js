// The microphone: records what is sung, shows its level, and draws what was taken.

// What browsers do to speech (suppressing noise, evening out loudness) undoes an imitation.
const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus", ""];

export class Recorder {
  constructor(callbacks) { Object.assign(this, { callbacks, media: null, opening: false }); }

  toggle(seconds) { return this.media ? this.stop() : this.start(seconds); }

  async start(seconds) {
    if (this.opening) return;
    this.opening = true;
    try {
      if (!navigator.mediaDevices) throw new Error("Browsers give the microphone only on this machine or over https.");
      const stream = await navigator.mediaDevices.getUserMedia({ audio: RAW });
      const kind = KINDS.find((each) => !each || MediaRecorder.isTypeSupported(each));
      const media = new MediaRecorder(stream, kind ? { mimeType: kind, audioBitsPerSecond: 160000 } : {});
      const parts = [];
      media.addEventListener("dataavailable", (event) => parts.push(event.data));
      media.addEventListener("stop", () => {
        clearTimeout(this.limit);
        stream.getTracks().forEach((track) => track.stop());
        this.context?.close();
        this.media = null;
        this.callbacks.ended(parts.length ? new Blob(parts, { type: media.mimeType }) : null);
      });
      this.media = media;
      this.watch(stream);
      media.start();
      this.limit = setTimeout(() => this.stop(), seconds * 1000 - 300);
      this.callbacks.begun();
      this.callbacks.told("Listening. Press again to stop.");
    } catch (error) {
      const denied = error.name === "NotAllowedError" || error.name === "NotFoundError";
      this.callbacks.told(denied ? `No microphone (${error.message}): allow it in the browser, or choose a file.` : error.message);
    } finally { this.opening = false; }
  }

  stop() { if (this.media?.state === "recording") this.media.stop(); this.callbacks.told(""); }

  watch(stream) {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (!this.media) return;
      analyser.getFloatTimeDomainData(samples);
      const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      this.callbacks.level(peak);
      if (peak > 0.99) this.callbacks.told("Too loud: move away from the microphone a little.");
      requestAnimationFrame(look);
    };
    look();
  }
}

// The peaks of a recording, or of some seconds of it, in 200 parts; null where this browser cannot decode it.
export async function levels(blob, start = 0, seconds = Infinity) {
  const context = new OfflineAudioContext(1, 1, 44100);
  try {
    const audio = await context.decodeAudioData(await blob.arrayBuffer());
    const samples = audio.getChannelData(0).subarray(44100 * start, 44100 * (start + seconds)), size = Math.max(1, samples.length / 200);
    const peaks = Array.from({ length: 200 }, (_, part) => {
      let most = 0;
      for (let place = Math.floor(part * size); place < (part + 1) * size && place < samples.length; place++) most = Math.max(most, Math.abs(samples[place]));
      return most;
    });
    return { peaks, seconds: samples.length / 44100 };
  } catch { return null; }
}

// Draws a take; what the search left out as silence is pale.
export function draw(canvas, take) {
  canvas.width = 400;
  canvas.height = 60;
  const brush = canvas.getContext("2d");
  if (!take.levels) return;
  const { peaks, seconds } = take.levels;
  const loudest = Math.max(...peaks, 1e-6);
  brush.fillStyle = matchMedia("(prefers-color-scheme: dark)").matches ? "#a78bfa" : "#6d28d9";
  peaks.forEach((peak, part) => {
    const time = (part * seconds) / peaks.length;
    brush.globalAlpha = take.heard && (time < take.heard.start - 0.01 || time > take.heard.end) ? 0.25 : 1;
    const height = Math.max(1, (56 * peak) / loudest);
    brush.fillRect(part * 2, 30 - height / 2, 1.5, height);
  });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${take.name}, ${seconds.toFixed(1)} s`);
}
