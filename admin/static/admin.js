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

for (const button of document.querySelectorAll("[data-link]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      prompt("The address of this page", location.href); // without HTTPS there is no clipboard
    }
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
    print();
  });
}

// Every table can be taken along, as it is shown.
for (const table of document.querySelectorAll("main table")) {
  if (table.closest("form") || !table.closest(".scroll")) continue; // those are to be filled in, or a chart's
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet csv";
  button.textContent = "CSV";
  button.setAttribute("aria-label", "Save this table as CSV");
  button.addEventListener("click", () => {
    const text = (cell) => cell.innerText.replace(/\s+/g, " ").trim();
    // A spreadsheet would take what begins so for a formula; numbers stay numbers.
    const safe = (value) => (/^[=@+\t-]/.test(value) && !/^[+-]?[\d.,]+( %)?$/.test(value) ? "'" + value : value);
    const quoted = (cell) => '"' + safe(text(cell)).replaceAll('"', '""') + '"';
    const lines = [...table.rows].map((row) => [...row.cells].map(quoted).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = (table.dataset.csv || document.title.replace(/\W+/g, "-").toLowerCase()) + ".csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  table.closest(".scroll").after(button);
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

// The cumulative lift of each variation with its band. What is not mature is grey.
function drawLift(element) {
  const chart = JSON.parse(element.dataset.lift);
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const show = (u, value) => (value == null ? "–" : (value > 0 ? "+" : "") + value.toFixed(1) + " %");
  const series = [{ label: "Entered until", value: (u, seconds) => (seconds == null ? "–" : day(seconds)) }];
  const data = [chart.days];
  const bands = [];
  // Early intervals are so wide that nothing else could be seen.
  const last = chart.series.flatMap((one) => [one.low, one.high].map((side) => side.filter((value) => value != null).at(-1) ?? 0));
  const reach = 3 * Math.max(5, ...last.map(Math.abs));
  const clip = (value) => (value == null ? null : Math.max(-reach, Math.min(reach, value)));
  chart.series.forEach((one, i) => {
    const stroke = color("--s" + (i % 5));
    const at = series.length;
    series.push({ label: one.label, stroke, width: 2, points: { show: chart.days.length < 40 }, value: show });
    series.push({ label: "to", stroke, width: 0.5, points: { show: false }, value: show }, { label: "from", stroke, width: 0.5, points: { show: false }, value: show });
    data.push(one.lift.map(clip), one.high.map(clip), one.low.map(clip));
    bands.push({ series: [at + 1, at + 2], fill: stroke + "22" });
  });
  const zero = (u) => {
    const y = Math.round(u.valToPos(0, "y", true));
    u.ctx.save();
    if (chart.immature < chart.days.length) {
      const at = (place) => u.valToPos(chart.days[place], "x", true);
      const from = chart.immature > 0 ? (at(chart.immature - 1) + at(chart.immature)) / 2 : u.bbox.left;
      u.ctx.fillStyle = color("--wash");
      u.ctx.fillRect(from, u.bbox.top, u.bbox.left + u.bbox.width - from, u.bbox.height);
    }
    u.ctx.strokeStyle = color("--muted");
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
  };
  element.replaceChildren();
  const drawn = new uPlot(
    {
      width: element.clientWidth,
      height: 260,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      axes: [{ ...axis, values: (u, marks) => marks.map((mark) => day(mark).slice(5)) }, { ...axis, size: 60, values: (u, marks) => marks.map((mark) => mark + " %") }],
      hooks: { drawAxes: [zero] },
      bands,
      series,
    },
    data,
    element,
  );
  // The ends of the bands need no legend of their own.
  for (const row of element.querySelectorAll(".u-legend .u-series")) if (/^(to|from)/.test(row.textContent)) row.hidden = true;
  return drawn;
}

const charts = new Map();
function redraw() {
  for (const element of document.querySelectorAll("[data-chart], [data-lift]")) {
    charts.get(element)?.destroy();
    charts.delete(element);
    if (!element.clientWidth) continue; // folded away
    charts.set(element, element.dataset.lift ? drawLift(element) : draw(element));
  }
}
for (const folded of document.querySelectorAll("details")) folded.addEventListener("toggle", () => folded.open && folded.querySelector("[data-chart]") && redraw());
redraw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", () => {
  for (const [element, chart] of charts) if (element.clientWidth) chart.setSize({ width: element.clientWidth, height: chart.height });
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
    const title = ended ? "Last run started here" : "Under way";
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
