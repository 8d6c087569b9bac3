// The service worker: it keeps this version of the page in the browser, so that texts can be read without a network.
//
// A version is kept as a whole and never changed. A new one takes over when the last page of the old one is closed. What the
// API answers is never kept.

// The server puts its own version in here.
const { version, files } = {"version": "", "files": []};
const home = new URL("./", location).href;
const addresses = new Set(files.map((file) => new URL(file, location).href));

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(forget()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = bare(request.url);
  if (request.mode === "navigate" && address === home) event.respondWith(fetch(request).catch(() => kept(home)));
  else if (addresses.has(address)) event.respondWith(kept(address).then((found) => found ?? fetch(request)));
});

const bare = (url) => url.replace(/[?#].*/s, "");
const kept = (url) => caches.open(version).then((cache) => cache.match(url, { ignoreVary: true }));

async function keep() {
  const cache = await caches.open(version);
  // At the page's address, the API answers those who do not ask for HTML.
  await cache.addAll([new Request(home, { headers: { Accept: "text/html" } }), ...addresses]);
}

async function forget() {
  for (const name of await caches.keys()) if (name !== version) await caches.delete(name);
}
