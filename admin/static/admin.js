// What moves on the page: copy buttons, questions before what can't be undone, charts, the
// progress of a run, the first event that arrives. Everything else works without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      // Without HTTPS there is no clipboard: leave the text selected.
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: press Ctrl+C";
    }
  });
}

for (const form of document.querySelectorAll("[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
  });
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw(element) {
  const chart = JSON.parse(element.dataset.chart);
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
  const show = (u, value) => (value == null ? "–" : value.toFixed(chart.unit ? 2 : 0) + (chart.unit ? " " + chart.unit : ""));
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  element.replaceChildren();
  return new uPlot(
    {
      width: element.clientWidth,
      height: 240,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, values: (u, marks) => marks.map((mark) => day(mark).slice(5)) }, { ...axis, size: 60, values: (u, marks) => marks.map((mark) => mark + (chart.unit ? " " + chart.unit : "")) }],
      series: [
        { label: "Day", value: (u, seconds) => (seconds == null ? "–" : day(seconds)) },
        ...chart.series.map((series, i) => ({ label: series.label, stroke: color("--s" + (i % 5)), width: 2, points: { show: chart.days.length < 40 }, spanGaps: false, value: show })),
      ],
    },
    [chart.days, ...chart.series.map((series) => series.values)],
    element,
  );
}

const charts = new Map();
function redraw() {
  for (const element of document.querySelectorAll("[data-chart]")) {
    charts.get(element)?.destroy();
    charts.set(element, draw(element));
  }
}
redraw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", () => {
  for (const [element, chart] of charts) chart.setSize({ width: element.clientWidth, height: 240 });
});

// poll asks until seen returns true. A service that does not answer is asked again.
function poll(url, everyMs, seen) {
  const ask = async () => {
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      if (response.status === 401) {
        // Signed out meanwhile. Not a reload: it would send a form again.
        return location.replace("/admin/login?next=" + encodeURIComponent(location.pathname));
      }
      if (response.ok && seen(response.status === 204 ? null : await response.json())) return;
    } catch {
      // The service restarts.
    }
    setTimeout(ask, everyMs);
  };
  ask();
}

const running = document.querySelector("[data-run]");
if (running && !running.hidden) {
  const text = running.querySelector("[data-run-text]");
  const bar = running.querySelector("progress");
  let wasUnderWay = false;
  poll("/admin/api/runs/current", 500, (run) => {
    if (!run) return true;
    const ended = Boolean(run.endedAt);
    const parts = [run.state === "waiting" ? "waiting for what was just received, and for other runs" : run.state];
    if (run.step) parts.push("step " + (run.steps + 1) + ": " + run.step);
    if (run.days) parts.push(run.days + " days");
    if (run.rows) parts.push(run.rows.toLocaleString("en") + " rows");
    if (run.leftMs) parts.push("about " + Math.ceil(run.leftMs / 1000) + " s left");
    text.textContent = parts.join(", ") + (run.error ? ": " + run.error : "");
    const title = ended ? "The last run that was started here" : "Under way";
    if (running.querySelector("h2").textContent !== title) running.querySelector("h2").textContent = title; // is read aloud
    if (ended) bar.value = 1;
    else if (run.share) bar.value = run.share;
    else bar.removeAttribute("value");
    bar.hidden = ended;
    if (ended && wasUnderWay) location.replace("/admin/runs"); // the list below has it now
    wasUnderWay = wasUnderWay || !ended;
    return ended;
  });
}

const activity = document.querySelector("[data-activity]");
if (activity) {
  poll(activity.dataset.activity, 2000, (seen) => {
    let missing = 0;
    for (const check of activity.querySelectorAll("[data-check]")) {
      const count = seen[check.dataset.check];
      check.classList.toggle("done", count > 0);
      check.querySelector("[data-count]").textContent = count > 0 ? count.toLocaleString("en") : "";
      if (!count) missing++;
    }
    activity.querySelector("[data-activity-title]").textContent =
      seen.views || seen.identifies || seen.conversions ? "Events are coming in" : activity.dataset.waiting;
    return missing === 0 && !document.querySelector("[data-try]"); // there one wants to see each
  });
}

const trial = document.querySelector("[data-try]");
if (trial) {
  const said = trial.querySelector("[data-said]");
  const visitor = () => (trial.querySelector("[data-visitor]").textContent = tieback.visitorId() || "none: the script is silent");
  if (window.tieback) tieback.ready(visitor);
  else said.textContent = "The script did not load.";
  const call = (name, ...values) => {
    tieback.ready(() => {
      tieback[name](...values);
      said.textContent = "Called tieback." + name + "(" + values.map((value) => JSON.stringify(value)).join(", ") + ").";
      visitor();
    });
  };
  for (const form of trial.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      call(form.querySelector("[data-call]").dataset.call, ...[...form.querySelectorAll("input")].map((field) => field.value));
    });
  }
  for (const button of trial.querySelectorAll("p [data-call]")) button.addEventListener("click", () => call(button.dataset.call));
}
