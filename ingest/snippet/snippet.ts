// The script that a web page loads: it reports views, who the visitor is and that the page is in use
// (spec 3.2). ES2017, no dependency. snippet_test.go builds it; the build is committed beside it.

// The service puts the account's id here.
declare const TIEBACK_CUSTOMER: string;

type Fields = { [name: string]: string | number };
type Report = Fields & { id: string; type: string; occurredAt: number };
type Queued = [string, ArrayLike<unknown>];

(function (page: Window & { [name: string]: any }, doc: Document) {
  const names = ["tieback", "intellimize", "wf"];
  const minute = 60000;
  const mostQueued = 300; // older reports are dropped
  const mostSent = 50; // in one request, well below the service's 64 kB

  const script = doc.currentScript as HTMLScriptElement;
  const collect = new URL("/collect", script.src).href;

  // What is kept in the browser. Where that is not allowed it lasts as long as the page.
  const memory: { [key: string]: string } = {};
  let storage: Storage | undefined;
  try {
    storage = page.localStorage;
    storage.setItem("tieback.t", "");
    storage.removeItem("tieback.t");
  } catch (_) {
    storage = undefined;
  }
  const get = (key: string) => (storage ? storage.getItem("tieback." + key) : memory[key]) || "";
  const set = (key: string, value: string) => {
    try {
      if (storage) value ? storage.setItem("tieback." + key, value) : storage.removeItem("tieback." + key);
      else memory[key] = value;
    } catch (_) {
      // full: what is in memory is sent all the same
    }
  };

  const random = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("");
  };

  // "out" and "in" are what the visitor has said; without a word the browser's Global Privacy Control counts.
  const silent = () => get("opt") === "out" || (get("opt") !== "in" && (navigator as any).globalPrivacyControl === true);

  // One visitor in all tabs: two that begin at once agree on what was written last.
  const visitor = () => {
    if (!get("visitor")) set("visitor", random());
    return get("visitor");
  };

  // Each page keeps its reports under a key of its own. One that finds another's takes them along: a report that
  // is sent twice counts once, by its id.
  const own = "queue." + random();
  let queue: Report[] = [];
  const keep = () => set(own, queue.length ? JSON.stringify(queue) : "");
  const adopt = () => {
    if (!storage) return;
    for (const key of Object.keys(storage)) {
      if (key.indexOf("tieback.queue.") || key === "tieback." + own) continue;
      try {
        queue = queue.concat(JSON.parse(storage.getItem(key) || "[]"));
      } catch (_) {
        // not ours
      }
      storage.removeItem(key);
    }
    queue = queue.slice(-mostQueued);
    keep();
  };

  const forget = () => {
    queue = [];
    keep();
  };

  let timer = 0;
  let failures = 0;
  let sending = false;
  const later = (wait: number) => {
    clearTimeout(timer);
    timer = page.setTimeout(send, wait);
  };

  const report = (type: string, fields?: Fields) => {
    if (silent()) return;
    queue.push({ id: random(), type, occurredAt: Date.now(), ...fields } as Report);
    queue = queue.slice(-mostQueued);
    keep();
    if (!failures && !sending) later(queue.length < mostSent ? 500 : 0);
  };

  const body = (reports: Report[]) =>
    JSON.stringify({ customerId: TIEBACK_CUSTOMER, visitorId: visitor(), sentAt: Date.now(), events: reports });

  const drop = (reports: Report[]) => {
    queue = queue.filter((queued) => reports.indexOf(queued) < 0);
    keep();
  };

  const send = () => {
    if (sending || !queue.length || silent()) return;
    const reports = queue.slice(0, mostSent);
    sending = true;
    fetch(collect, { method: "POST", body: body(reports), keepalive: true, credentials: "omit" })
      .then(
        // Another 4xx will be none the next time either.
        (answer) => answer.ok || (answer.status >= 400 && answer.status < 500 && answer.status !== 429 && answer.status !== 408),
        () => false,
      )
      .then((done) => {
        sending = false;
        failures = done ? 0 : failures + 1;
        if (done) drop(reports);
        if (queue.length) later(done ? 0 : Math.random() * Math.min(minute, 1000 * 2 ** failures));
      });
  };

  // As the page goes away: the browser sends it after the page is gone. Offline it stays for the next page.
  const leave = () => {
    for (let i = 0; i < queue.length && !silent() && navigator.onLine !== false; ) {
      const reports = queue.slice(i, i + mostSent);
      if (navigator.sendBeacon && navigator.sendBeacon(collect, body(reports))) drop(reports);
      else i += mostSent;
    }
  };

  // Real use keeps the session open, told at most once a minute in all tabs.
  const used = () => {
    const now = Date.now();
    if (doc.visibilityState !== "hidden" && Math.abs(now - +get("active")) >= minute) {
      set("active", "" + now);
      report("activity");
    }
  };

  const text = (value: unknown) => (value === undefined || value === null ? "" : String(value));
  const api: { [name: string]: (...given: any[]) => unknown } = {
    ready(fn: () => void) {
      try {
        fn();
      } catch (error) {
        page.setTimeout(() => {
          throw error; // the page's own mistake, told as such
        });
      }
    },
    setUserId(userDomain: string, userId: string) {
      if (text(userDomain) && text(userId)) report("identify", { userDomain: text(userDomain), userId: text(userId) });
    },
    recordView(optimizationId: string, variationId: string) {
      if (text(optimizationId) && text(variationId))
        report("view", { optimizationId: text(optimizationId), variationId: text(variationId) });
    },
    optOut() {
      adopt(); // what other pages have kept goes, too
      forget();
      set("visitor", "");
      set("active", "");
      set("opt", "out");
    },
    optIn() {
      set("opt", "in");
    },
    visitorId: () => (silent() ? "" : visitor()),
  };

  // Calls that came before: the stub keeps them in q.
  const waiting: Queued[] = [];
  for (const name of names) {
    const before = page[name];
    if (before && !before.q) continue; // somebody else's, or the script is there twice
    if (before && waiting.indexOf(before.q[0]) < 0) waiting.push(...before.q);
    page[name] = api;
  }
  if (page.tieback !== api) return;

  if (!silent()) {
    adopt();
    set("active", "" + Date.now());
    report("activity");
  }
  for (const [name, given] of waiting) if (api[name]) api[name](...Array.from(given));

  for (const event of ["pointerdown", "keydown", "scroll"]) page.addEventListener(event, used, { passive: true, capture: true });
  page.addEventListener("online", () => later(0));
  page.addEventListener("storage", () => silent() && forget()); // said in another tab
  page.addEventListener("pagehide", leave);
  doc.addEventListener("visibilitychange", () => (doc.visibilityState === "hidden" ? leave() : used()));
})(window as any, document);
