// Where sounds are found: the server's API. A static site has another file of this name.
async function answered(response) {
  if (response.ok) return response;
  let reason = `The server answered ${response.status}.`;
  try { reason = (await response.json()).error ?? reason; } catch { /* no JSON */ }
  throw new Error(reason);
}
const post = async (address, body, kind) =>
  answered(await fetch(address, { method: "POST", body, headers: kind ? { "Content-Type": kind } : {} }));

export const backend = {
  address: (target) => `api/${target}`,
  state: async () => (await answered(await fetch("api/state"))).json(),
  example: async (address) => (await answered(await fetch(`api/${address}`))).blob(),
  search: async (wish, recording) =>
    (await post(`api/search?${wish}`, recording ?? new Blob(), "application/octet-stream")).json(),
  explain: async (wish, recording) =>
    (await post(`api/explain?${wish}`, recording ?? new Blob(), "application/octet-stream")).text(),
  reveal: (hit) => post("api/reveal", JSON.stringify({ library: hit.library, path: hit.path, start: hit.start }), "application/json"),
};
