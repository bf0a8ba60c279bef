// The script that a web page loads: it reports views, who the visitor is and that the page is in use
// (docs/snippet.md). ES2017, no dependency. snippet_test.go builds it; the build is committed beside it.

// The service puts the account's id here.
declare const TIEBACK_CUSTOMER: string;

type Fields = { [name: string]: string | number };
type Report = Fields & { id: string; type: string; occurredAt: number; visitorId: string; said: string };
type Queued = [string, ArrayLike<unknown>];

(function (page: Window & { [name: string]: any }, doc: Document & { prerendering?: boolean }) {
  const names = ["tieback", "intellimize", "wf"];
  const minute = 60000;
  const mostQueued = 300; // older reports are dropped
  const mostSent = 50; // in one request, well below the service's 64 kB

  // Where this script came from. A module has no currentScript, one that was imported no element either.
  const path = "/snippet.js?";
  const ours = (src: string) => src.indexOf(path) > 0 && new URL(src).searchParams.get("customerId") === TIEBACK_CUSTOMER;
  const element = (doc.currentScript || Array.from(doc.scripts).find((script) => ours(script.src))) as HTMLScriptElement | undefined;
  const entry = element || performance.getEntriesByType("resource").map((loaded) => ({ src: loaded.name })).find((loaded) => ours(loaded.src));
  if (!entry) return;
  const source = new URL(entry.src);
  const collect = new URL("/collect", source).href;
  const domain = source.searchParams.get("domain"); // whose subdomains share a visitor

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

  // Who the visitor is, and what they have said, stand in a cookie of the domain, too.
  const getCookie = (key: string) => {
    try {
      const found = domain && doc.cookie.match("(?:^|; )tieback_" + key + "=(\\w+)");
      return found ? found[1] : "";
    } catch (_) {
      return ""; // not allowed here
    }
  };
  const getShared = (key: string) => getCookie(key) || get(key);
  const setShared = (key: string, value: string) => {
    set(key, value);
    try {
      if (domain)
        doc.cookie =
          "tieback_" + key + "=" + value + ";domain=" + domain + ";path=/;max-age=" + (value ? 34560000 : 0) + ";samesite=lax" +
          (location.protocol === "https:" ? ";secure" : "");
    } catch (_) {
      // not allowed here
    }
  };

  const random = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("");
  };

  // "out" and "in" are what the visitor has said; without a word the browser's Global Privacy Control counts.
  const silent = () => {
    const said = getShared("opt");
    return said === "out" || (said !== "in" && (navigator as any).globalPrivacyControl === true);
  };

  // One visitor in all tabs: two that begin at once agree on what was written last.
  const visitor = () => {
    const known = getShared("visitor");
    if (!known || (domain && !getCookie("visitor"))) setShared("visitor", known || random());
    return getShared("visitor");
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

  // What the page says of the visitor, until it goes; each report keeps what held when it was made.
  const agent = navigator as any;
  const attributes: { [name: string]: string } = {
    device: (agent.userAgentData ? agent.userAgentData.mobile : /Mobi|Android/i.test(agent.userAgent)) ? "mobile" : "desktop",
  };

  // Who waits for a report, by its id: true once the service has it, false where it never will.
  const settle: { [id: string]: (stored: boolean) => void } = {};
  const drop = (reports: Report[], stored: boolean) => {
    queue = queue.filter((queued) => reports.indexOf(queued) < 0);
    keep();
    for (const { id } of reports) {
      if (settle[id]) settle[id](stored);
      delete settle[id];
    }
  };

  let timer = 0;
  let failures = 0;
  let flying: Report[] = []; // in requests that are not answered yet
  const later = (wait: number) => {
    clearTimeout(timer);
    timer = page.setTimeout(send, wait);
  };

  // A prerendered page reports nothing until it is shown, and then as of that moment.
  const held: (() => void)[] = [];
  const shown = (then: () => void) => (doc.prerendering ? held.push(then) : then());

  const report = (type: string, fields?: Fields) =>
    new Promise<boolean>((settled) =>
      shown(() => {
        if (silent()) return settled(false);
        const made = { id: random(), type, occurredAt: Date.now(), visitorId: visitor(), said: JSON.stringify(attributes), ...fields } as Report;
        settle[made.id] = settled;
        queue.push(made);
        if (queue.length > mostQueued) drop(queue.slice(0, -mostQueued), false);
        keep();
        // Who the visitor is must not come too late for a conversion: it waits for nothing.
        if (type === "identify") send(true);
        else if (!flying.length && (!timer || (!failures && queue.length >= mostSent))) later(queue.length < mostSent ? 500 : 0);
      }),
    );

  // The next reports of one visitor, of whom the same was said.
  const next = (from: Report[]) =>
    from.filter((one) => one.visitorId === from[0].visitorId && one.said === from[0].said).slice(0, mostSent);
  const body = (reports: Report[]) =>
    JSON.stringify({
      customerId: TIEBACK_CUSTOMER,
      visitorId: reports[0].visitorId || visitor(),
      sentAt: Date.now(),
      attributes: JSON.parse(reports[0].said || "{}"),
      events: reports.map((one) => ({ ...one, visitorId: undefined, said: undefined })),
    });

  const send = (now?: unknown) => {
    if (now !== true) timer = 0;
    const waiting = queue.filter((queued) => flying.indexOf(queued) < 0);
    if (!waiting.length || (flying.length && now !== true) || silent()) return;
    const reports = next(now === true ? waiting.slice().reverse() : waiting).sort((a, b) => a.occurredAt - b.occurredAt);
    flying = flying.concat(reports);
    fetch(collect, { method: "POST", body: body(reports), keepalive: true, credentials: "omit" })
      .then(
        // Another 4xx will be none the next time either.
        (answer) => [answer.ok || (answer.status >= 400 && answer.status < 500 && answer.status !== 429 && answer.status !== 408), answer.ok],
        () => [false, false],
      )
      .then(([done, stored]) => {
        flying = flying.filter((one) => reports.indexOf(one) < 0);
        failures = done ? 0 : failures + 1;
        if (done) drop(reports, stored);
        if (queue.length) later(done ? 0 : Math.random() * Math.min(minute, 1000 * 2 ** failures));
      });
  };

  // As the page goes away: the browser sends it after the page is gone. Offline it stays for the next page.
  const leave = () => {
    for (let left = queue; left.length && !silent() && navigator.onLine !== false; ) {
      const reports = next(left);
      left = left.filter((one) => reports.indexOf(one) < 0);
      if (navigator.sendBeacon && navigator.sendBeacon(collect, body(reports))) drop(reports, true);
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
  // What programs write for no value, and templates left unfilled, would make one person of all who send it.
  const placeholder = /^(\s*|undefined|null|nan|none|\[object object\]|\{\{[^]*\}\}|\$\{[^]*\}|%[^]*%)$/i;
  const warn = (what: string, value: unknown) => console.warn("tieback: " + what + ":", value);

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
      for (const value of [userDomain, userId]) {
        if (placeholder.test(text(value))) {
          warn("setUserId is ignored, this is no id", value);
          return Promise.resolve(false);
        }
        if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) warn("this number was rounded, pass a string", value);
      }
      return report("identify", { userDomain: text(userDomain), userId: text(userId) });
    },
    setAttributes(given: Fields) {
      for (const name of Object.keys(given || {})) attributes[name] = text(given[name]);
    },
    recordView(optimizationId: string, variationId: string) {
      if (text(optimizationId) && text(variationId))
        report("view", { optimizationId: text(optimizationId), variationId: text(variationId) });
    },
    optOut() {
      adopt(); // what other pages have kept goes, too
      drop(queue, false);
      setShared("visitor", "");
      set("active", "");
      setShared("opt", "out");
    },
    optIn() {
      // Another subdomain may have kept the visitor that was to be forgotten.
      if (getShared("opt") === "out") setShared("visitor", random());
      setShared("opt", "in");
    },
    reset() {
      send(true); // as the visitor that it was
      setShared("visitor", silent() ? "" : random()); // at once, or another subdomain would bring the old one back
      set("active", "");
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

  shown(() => {
    if (silent()) return set("visitor", ""); // said on another subdomain
    adopt();
    set("active", "" + Date.now());
    report("activity");
  });
  for (const [name, given] of waiting) if (api[name]) api[name](...Array.from(given));

  doc.addEventListener("prerenderingchange", () => held.splice(0).forEach((then) => then()));
  for (const event of ["pointerdown", "keydown", "scroll"]) page.addEventListener(event, used, { passive: true, capture: true });
  page.addEventListener("online", () => later(0));
  page.addEventListener("storage", () => silent() && drop(queue, false)); // said in another tab
  page.addEventListener("pagehide", leave);
  doc.addEventListener("visibilitychange", () => (doc.visibilityState === "hidden" ? leave() : used()));
})(window as any, document);
