// Keeps the site for use without a network: all that a search needs at once, and its sounds where they are few.
// The line before, written by the export: const SITE = { version, files, sounds };
const OWN = `vocalsketch ${self.registration.scope}`; // other sites may lie beside this one
const NAME = `${OWN} ${SITE.version}`;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  const whole = (cache) => Promise.all(SITE.files.map((file) => keep(cache, new Request(file, { cache: "no-cache" }))));
  event.waitUntil(caches.open(NAME).then(whole));
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) if (name.startsWith(`${OWN} `) && name !== NAME) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("message", (event) => event.waitUntil(keepSounds().catch(() => {}))); // the disk may be full

async function keep(cache, request, tries = 3) { // a network may fail for a moment
  for (let left = tries - 1; ; left--) {
    try {
      return await cache.add(request);
    } catch (error) {
      if (!left) throw error;
      await new Promise((wait) => setTimeout(wait, 500));
    }
  }
}

async function keepSounds() {
  const cache = await caches.open(NAME);
  for (const sound of SITE.sounds) if (!(await cache.match(sound))) await keep(cache, sound);
}

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(request.url, { ignoreSearch: true, ignoreVary: true });
  if (!kept) return fetch(request);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (!range) return kept;
  const content = await kept.blob();
  const first = Number(range[1]), last = Math.min(Number(range[2] || Infinity), content.size - 1);
  const headers = { "Content-Type": content.type, "Content-Range": `bytes ${first}-${last}/${content.size}` };
  return new Response(content.slice(first, last + 1), { status: 206, headers });
}
