// Strokes on their way to the server: kept in the browser's storage until the server says that it has them.
//
// One message is on its way at a time: { id, strokes: { draft: [stroke] }, and requests by name }. The server answers
// with { heard: id, saved: { draft: number } }: all strokes of a draft up to that number are in its database, and with
// { refused: { draft: why } }. A message whose answer has no `heard` is sent again.

const BYTES = 4_000_000; // of strokes in a message, about; the server refuses 25 MB
const GAP = "The server lacks strokes that come before the last ones.";
const PATIENCE = 6000; // milliseconds until a message counts as lost
const AGAIN = 2000;
const ASIDE = "refused"; // begins what strokes are kept under that are sent no more; drafts are numbers

const storage = () =>
  new Promise((resolve, reject) => {
    const opening = indexedDB.open("saliency-studio", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("strokes", { keyPath: ["draft", "number"] });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });

export class Outbox {
  constructor(changed) {
    this.changed = changed;
    this.unsent = new Map(); // draft -> strokes in their order
    this.refused = new Map(); // draft -> why
    this.requests = {};
    this.offline = false;
    this.ready = this.start();
  }

  async start() {
    try {
      this.database = await storage();
      const all = await new Promise((resolve, reject) => {
        const reading = this.database.transaction("strokes").objectStore("strokes").getAll(IDBKeyRange.upperBound([ASIDE]));
        reading.onsuccess = () => resolve(reading.result);
        reading.onerror = () => reject(reading.error);
      });
      for (const { draft, ...stroke } of all) this.of(draft).push(stroke);
    } catch {
      this.database = null; // a private window: strokes wait in this tab alone
    }
  }

  close() {
    clearTimeout(this.timer);
    this.closed = true;
    this.database?.close();
  }

  of(draft) {
    if (!this.unsent.has(draft)) this.unsent.set(draft, []);
    return this.unsent.get(draft);
  }

  get waiting() {
    let count = 0;
    for (const [draft, strokes] of this.unsent) if (!this.refused.has(draft)) count += strokes.length;
    return count;
  }

  add(draft, stroke) {
    this.of(draft).push(stroke);
    this.store((strokes) => strokes.put({ draft, ...stroke }));
    this.pump();
    this.changed();
  }

  // Strokes that the server has refused, and that are saved in another way.
  forget(draft) {
    this.unsent.delete(draft);
    this.refused.delete(draft);
    this.store((strokes) => strokes.delete(IDBKeyRange.bound([draft, 0], [draft, Infinity])));
    this.changed();
  }

  // Strokes that the server has refused and that no mask shows: they stay in the browser's storage, and are sent no more.
  setAside(draft) {
    const strokes = this.of(draft);
    const name = `${ASIDE} ${draft} ${Date.now()}`;
    this.store((store) => strokes.forEach((stroke) => store.put({ draft: name, ...stroke })));
    this.forget(draft);
  }

  store(change) {
    if (!this.database) return;
    try {
      change(this.database.transaction("strokes", "readwrite").objectStore("strokes"));
    } catch {
      this.database = null;
    }
  }

  // Something else to tell the server once all strokes before it are there: `open`, `ask`, `submit` or `go`.
  request(name, value) {
    this.requests[name] = value;
    this.pump();
  }

  pump() {
    if (this.closed || this.sent || !this.trigger) return;
    const message = { id: crypto.getRandomValues(new Uint32Array(2)).join("-"), strokes: {} };
    let bytes = 0;
    let all = true;
    for (const [draft, strokes] of this.unsent) {
      if (this.refused.has(draft)) continue;
      for (const stroke of strokes) {
        if (bytes > BYTES) {
          all = false;
          break;
        }
        (message.strokes[draft] ??= []).push(stroke);
        bytes += 6 * stroke.counts.length + 100;
      }
    }
    if (all) Object.assign(message, this.requests);
    if (!bytes && !(all && Object.keys(this.requests).length)) return;
    this.sent = message;
    this.began = performance.now();
    this.trigger(message);
    this.timer = setTimeout(() => this.lost(), message.ask ? 5 * PATIENCE : PATIENCE);
  }

  // Nothing was heard: waits until the server answers, and sends everything again.
  async lost() {
    let there = false;
    try {
      const answer = await fetch(new URL("./_stcore/health", document.baseURI), { cache: "no-store" });
      there = answer.ok && (await answer.text()) === "ok";
    } catch {
      // no connection
    }
    if (this.closed) return;
    this.offline = !there;
    this.changed();
    clearTimeout(this.timer);
    if (!there) this.timer = setTimeout(() => this.lost(), AGAIN);
    else {
      this.sent = null;
      this.pump();
    }
  }

  receive({ heard, saved, refused }, trigger) {
    this.trigger = trigger;
    for (const [draft, number] of Object.entries(saved ?? {})) {
      if (!this.unsent.has(draft)) continue;
      const left = this.of(draft).filter((stroke) => stroke.number > number);
      if (left.length === this.of(draft).length) continue;
      left.length ? this.unsent.set(draft, left) : this.unsent.delete(draft);
      this.store((strokes) => strokes.delete(IDBKeyRange.bound([draft, 0], [draft, number])));
    }
    if (this.sent && heard === this.sent.id) {
      clearTimeout(this.timer);
      for (const [draft, why] of Object.entries(refused ?? {})) if (this.unsent.has(draft)) this.refused.set(draft, why);
      for (const [draft, number] of Object.entries(saved ?? {})) {
        if (this.unsent.get(draft)?.[0].number > number + 1) this.refused.set(draft, GAP);
      }
      this.roundTrip = performance.now() - this.began;
      for (const name of Object.keys(this.requests)) {
        if (this.requests[name] === this.sent[name]) delete this.requests[name];
      }
      this.sent = null;
      this.offline = false;
    }
    this.pump();
    this.changed();
  }
}

const fresh = () => [...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(16).padStart(2, "0")).join("");
let tab = null; // its promise

async function findTabName() {
  const self = fresh();
  let name = fresh();
  try {
    const channel = new BroadcastChannel("saliency-studio");
    const kept = sessionStorage.getItem("saliency-studio");
    if (kept) {
      let taken = false;
      channel.onmessage = ({ data }) => (taken ||= data.taken === kept && data.to === self);
      channel.postMessage({ asks: kept, from: self });
      await new Promise((resolve) => setTimeout(resolve, 80));
      if (!taken) name = kept;
    }
    sessionStorage.setItem("saliency-studio", name);
    channel.onmessage = async ({ data }) => data.asks === (await tab) && channel.postMessage({ taken: data.asks, to: data.from });
  } catch {
    // no storage: the tab has another name after a reload, and what it drew is still offered as the newest draft
  }
  return name;
}

// This tab's name, the same after a reload; a tab that was duplicated takes a new one.
export const tabName = () => (tab ??= findTabName());

// Gives the tab another name, under which the server begins another draft.
export function renameTab() {
  const name = fresh();
  tab = Promise.resolve(name);
  try {
    sessionStorage.setItem("saliency-studio", name);
  } catch {
    // no storage
  }
}
