// Keeps the page true: when the centre says that something is new, the page is asked for again and the parts
// marked `data-live` are exchanged. All words and numbers come from the server; this file knows none.

const NOT_FASTER_THAN_MS = 1000;
const AT_LEAST_EVERY_MS = 30000;
const ANNOUNCE_AFTER_MS = 60000;
const AGAIN_AFTER_MS = 3000;

let pending = null;
let refreshed = Date.now();
let announced = Date.now();

function parts(root) {
  return new Map([...root.querySelectorAll("[data-live]")].map((part) => [part.id, part]));
}

function exchange(fresh) {
  const now = parts(document);
  const next = parts(fresh);
  const same = now.size === next.size && [...next.keys()].every((id) => now.has(id));
  if (!same) {
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
  }
  for (const [id, part] of parts(document)) {
    const update = next.get(id);
    if (update && part.innerHTML !== update.innerHTML) {
      part.innerHTML = update.innerHTML;
    }
  }
  announce();
  document.dispatchEvent(new CustomEvent("bansui:live"));
}

// A screen reader hears the headline when it has changed, once a minute at most.
function announce() {
  const line = document.getElementById("announcer");
  const headline = document.getElementById("headline").textContent;
  if (Date.now() - announced >= ANNOUNCE_AFTER_MS && line.textContent !== headline) {
    announced = Date.now();
    line.textContent = headline;
  }
}

async function refresh() {
  pending = null;
  refreshed = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.status >= 500) {
      lost();
    }
    if (!answer.ok) {
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // A reader in the middle of a part keeps it until the next time.
    const focused = document.activeElement?.closest("[data-live]");
    const id = focused?.id;
    const index = focused ? [...focused.querySelectorAll("a")].indexOf(document.activeElement) : -1;
    exchange(fresh);
    document.getElementById("asof").classList.remove("lost");
    if (id && index >= 0) {
      document.getElementById(id)?.querySelectorAll("a")[index]?.focus({ preventScroll: true });
    }
  } catch {
    lost();
  }
}

function soon() {
  if (pending === null && !document.hidden) {
    pending = setTimeout(refresh, Math.max(0, refreshed + NOT_FASTER_THAN_MS - Date.now()));
  }
}

function lost() {
  const line = document.getElementById("asof");
  if (!line.classList.contains("lost")) {
    line.textContent = `${line.dataset.lost} · ${line.textContent}`;
    line.classList.add("lost");
  }
}

function found() {
  const line = document.getElementById("asof");
  if (line.classList.contains("lost")) {
    line.classList.remove("lost");
    soon();
  }
}

const school = document.body.dataset.school;
let events = null;

function connect() {
  events = new EventSource(school ? `/api/v1/live?school=${encodeURIComponent(school)}` : "/api/v1/live");
  events.addEventListener("summaries", soon);
  events.addEventListener("heartbeat", soon);
  events.addEventListener("open", found);
  events.addEventListener("error", again);
}

// A browser comes back by itself when a line breaks, but not after an answer such as a proxy's 502.
function again() {
  lost();
  if (events.readyState === EventSource.CLOSED) {
    setTimeout(connect, AGAIN_AFTER_MS);
  }
}

connect();
document.addEventListener("visibilitychange", soon);
setInterval(soon, AT_LEAST_EVERY_MS);
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
