// From an audio file to the clip that a model listens to: what search/query.py, features/level.py and features/audio.py
// do, with their names.
const LONGEST = 60, SHORTEST = 0.1, MARGIN = 0.05; // seconds
const SILENT = 1e-5, OFFSET = 0.01, LEFT_OF_CANCELLED = 0.1;
const FRAME = 0.01, WEIGHTING = 0.003, KEPT_BEFORE = 0.1, KEPT_AFTER = 0.3; // seconds
const STEADY = 7, SOFTEST = 0.1, ABOVE_FLOOR = 10, CERTAIN = 15, SILENCE = 30, NOTHING = 100; // frames, share, dB
const LOBES = 80, BANDWIDTH = 0.957, BETA = 9; // the filter's half length, -6 dB and window: soxr's high quality

// Decodes an audio file; a browser would bring it to another rate, and each does that in its own way.
export async function decoded(file, name) {
  const bytes = await file.arrayBuffer();
  const rate = rateOf(bytes);
  let context;
  try { context = new OfflineAudioContext(1, 1, rate); } catch { context = new OfflineAudioContext(1, 1, 48000); }
  try {
    const audio = await context.decodeAudioData(bytes);
    const channels = Array.from({ length: audio.numberOfChannels }, (_, number) => audio.getChannelData(number));
    return { waveform: mixed(channels), rate: audio.sampleRate };
  } catch {
    throw new Error(`${name} cannot be decoded by this browser: give WAV, FLAC, MP3 or Ogg, or record.`);
  }
}

// What WAV, FLAC and Ogg Vorbis say of their rate; Opus and what else is recorded has 48 kHz.
export function rateOf(bytes) {
  const view = new DataView(bytes, 0, Math.min(64, bytes.byteLength));
  const text = String.fromCharCode(...new Uint8Array(bytes.slice(0, 64)));
  if (text.length < 44) return 48000;
  if (/^RIFF[^]{4}WAVEfmt /.test(text)) return view.getUint32(24, true);
  if (text.startsWith("fLaC")) return view.getUint32(18) >>> 12;
  return /^OggS[^]{25}vorbis/.test(text) ? view.getUint32(40, true) : 48000;
}

// The mean of the channels; where they cancel, the loudest of them.
export function mixed(channels) {
  if (channels.length === 1) return channels[0];
  const mean = channels[0].map((_, at) => channels.reduce((sum, each) => sum + each[at], 0) / channels.length);
  const powers = [...channels, mean].map((each) => {
    let sum = 0, squares = 0;
    for (const value of each) { sum += value; squares += value * value; }
    return squares - sum ** 2 / Math.max(1, each.length);
  });
  const left = powers.pop();
  const all = powers.reduce((sum, each) => sum + each, 0);
  return left < (LEFT_OF_CANCELLED * all) / channels.length ** 2 ? channels[powers.indexOf(Math.max(...powers))] : mean;
}

// The part of a query that is listened to by a model that looks at so many seconds, and how that is told.
export function prepared(recorded, rate, seconds) {
  let audio = recorded.subarray(0, Math.round(LONGEST * rate));
  const length = audio.length / rate;
  if (length < SHORTEST) throw new Error(`The query is too short: ${length.toFixed(3)} s; imitate for ${SHORTEST} s or more.`);
  const offset = audio.reduce((sum, value) => sum + value, 0) / audio.length;
  const loudest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (Math.abs(offset) > OFFSET * loudest(audio)) audio = audio.map((value) => value - offset);
  if (!(loudest(audio) > SILENT)) throw new Error("The query is silent: check the microphone, and its level.");
  const [first, last] = sounding(audio, rate);
  const start = first / rate, end = Math.min(last / rate, start + seconds);
  let told = last - first < audio.length ? "silence was cut" : "nothing was cut: there is no silence at its ends";
  if (end < last / rate) told += `; no more than ${seconds} s are looked at`;
  const note = `Heard: ${start.toFixed(2)} to ${end.toFixed(2)} s of ${length.toFixed(2)} s (${told}).`;
  return { audio: audio.subarray(first, last), heard: { seconds: recorded.length / rate, start, end, note } };
}

// The clip that a model is given: at its rate, zero-padded, and without silence at its ends where it wants that; the
// members of an ensemble cut it from what the ensemble was given.
export function clipOf(audio, rate, shape, ofEnsemble) {
  const clip = new Float32Array(shape.samples), trims = shape.trim !== null;
  const whole = trims && !ofEnsemble ? audio.subarray(...sounding(audio, rate, shape.trim)) : audio;
  const seen = whole.subarray(0, Math.ceil((shape.seconds + MARGIN) * rate));
  clip.set(resampled(seen, rate, shape.sample_rate).subarray(0, shape.samples));
  if (!trims || !ofEnsemble) return clip;
  const cut = new Float32Array(shape.samples);
  cut.set(clip.subarray(...sounding(clip, shape.sample_rate, shape.trim)));
  return cut;
}

// First sample and end of what is left where silence at both ends is cut.
export function sounding(waveform, rate, below = SILENCE) {
  const measured = frameLevels(waveform, rate);
  const most = Math.max(...measured), least = Math.min(...measured);
  const floor = percentile(measured.filter((level) => level >= most - NOTHING), SOFTEST);
  const half = STEADY >> 1;
  let levels = measured.map((_, at) => {
    const near = Array.from({ length: STEADY }, (_, step) => measured[at + step - half] ?? least);
    return near.sort((a, b) => a - b)[half];
  });
  let loudest = Math.max(...levels);
  if (loudest < percentile(levels, SOFTEST) + ABOVE_FLOOR && loudest < most - below) [levels, loudest] = [measured, most];
  const silence = Math.max(loudest - below, Math.min(floor + ABOVE_FLOOR, loudest - CERTAIN));
  const loud = (level) => level >= silence;
  const start = Math.round((levels.findIndex(loud) * FRAME - KEPT_BEFORE) * rate);
  const end = Math.round(((levels.findLastIndex(loud) + 1) * FRAME + KEPT_AFTER) * rate);
  return [Math.max(0, start), Math.min(waveform.length, end)];
}

// The level of each 10 ms, dB, without what is lower than a voice.
function frameLevels(waveform, rate) {
  const half = Math.round(WEIGHTING * rate) >> 1, width = 2 * half + 1;
  const at = (place) => waveform[Math.min(Math.max(place, 0), waveform.length - 1)];
  let sum = 0;
  for (let place = -half; place <= half; place++) sum += at(place);
  const levels = [];
  for (let place = 0; place < waveform.length; ) {
    const first = place, end = Math.min(waveform.length, Math.round((levels.length + 1) * FRAME * rate));
    let power = 0;
    for (; place < end; place++) {
      power += (waveform[place] - sum / width) ** 2;
      sum += at(place + half + 1) - at(place - half);
    }
    levels.push(10 * Math.log10(power / (end - first) + 1e-20));
  }
  return levels;
}

function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * share, below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? 0) - sorted[below]);
}

// A waveform at another rate, by a windowed sinc (Kaiser, 90 dB) of each of the places that there are between samples.
export function resampled(waveform, rate, target) {
  if (rate === target) return waveform;
  const narrow = Math.min(1, target / rate), reach = Math.ceil(LOBES / narrow);
  const weights = (phase) => Float64Array.from({ length: 2 * reach }, (_, tap) => {
    const away = (tap + 1 - reach - phase / target) * narrow; // in samples of the lower rate
    const within = 1 - (away / LOBES) ** 2, turned = Math.PI * BANDWIDTH * away;
    const window = within > 0 ? bessel(BETA * Math.sqrt(within)) / bessel(BETA) : 0;
    return narrow * BANDWIDTH * window * (turned ? Math.sin(turned) / turned : 1);
  });
  const filters = new Map(), padded = new Float32Array(waveform.length + 2 * reach);
  padded.set(waveform, reach);
  return Float32Array.from({ length: Math.ceil((waveform.length * target) / rate) }, (_, number) => {
    const phase = (number * rate) % target, first = (number * rate - phase) / target + 1;
    let filter = filters.get(phase);
    if (!filter) {
      filter = weights(phase);
      if (filters.size < 1000) filters.set(phase, filter); // there may be as many as samples
    }
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) sum += filter[tap] * padded[first + tap];
    return sum;
  });
}

// The modified Bessel function of order zero, by its series.
function bessel(value) {
  let sum = 1, term = 1;
  for (let order = 1; term > 1e-12 * sum; order++) sum += term *= (value / 2 / order) ** 2;
  return sum;
}
