// Keeps the page fresh: fetches it again every two seconds, and puts what changed in its place.
// Elements marked `data-live` have an id and are replaced as a whole; the rest stays.

const EVERY_MS = 2000;
const GIVE_UP_AFTER_MS = 10000;

const seen = new Map(); // id -> what the server last sent for it

function isBeingUsed(element) {
  const filled = [...element.querySelectorAll("form:not([hidden]) :is(input, textarea)")];
  return filled.some((field) => field === document.activeElement || field.value !== "");
}

async function fetchPage() {
  const response = await fetch(location.href, {
    cache: "no-store",
    signal: AbortSignal.timeout(GIVE_UP_AFTER_MS),
  });
  if (!response.ok) throw new Error(`the console answered ${response.status}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function textsOf(root) {
  const stages = root.querySelectorAll(".stage");
  return new Map([...stages].map((stage) => [stage.id, stage.textContent]));
}

function headlineOf(stage) {
  return `${stage.querySelector("h2").textContent}: ${stage.querySelector(".headline").textContent}`;
}

function markChanges(before, root) {
  const changed = [...root.querySelectorAll(".stage")].filter(
    (stage) => before.get(stage.id) !== stage.textContent,
  );
  for (const stage of changed) stage.classList.add("changed");
  if (changed.length > 0) {
    document.getElementById("news").textContent = changed.map(headlineOf).join(". ");
  }
}

function put(fresh, element) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const place = focused?.id || focused?.getAttribute("href");
  const before = textsOf(element);
  const unfolded = new Set([...element.querySelectorAll("details[open]")].map(({ id }) => id));
  element.replaceChildren(...fresh.childNodes);
  for (const details of element.querySelectorAll("details")) {
    details.open = unfolded.has(details.id);
  }
  markChanges(before, element);
  prepareForms(element);
  if (place) {
    const again = [...element.querySelectorAll("[id], [href]")];
    again.find((other) => other.id === place || other.getAttribute("href") === place)?.focus();
  }
}

async function refresh() {
  if (document.hidden) return;
  try {
    const page = await fetchPage();
    for (const element of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(element.id);
      if (!fresh || isBeingUsed(element)) continue;
      const sent = fresh.innerHTML;
      if (sent === (seen.get(element.id) ?? element.innerHTML)) continue;
      seen.set(element.id, sent);
      put(fresh, element);
    }
    document.getElementById("offline").hidden = true;
  } catch {
    document.getElementById("offline").hidden = false;
  }
}

function asked(form, action) {
  const values = new FormData(form);
  const reason = values.get("reason");
  if (form.dataset.offer) {
    const emergency = action === "emergency";
    const body = { version: form.dataset.offer, to: values.get("to"), reason, emergency };
    return { url: "/api/releases", body };
  }
  // what was looked at goes along: an approval of something else is refused
  const seen = action === "approve" ? { content: form.dataset.content } : {};
  return { url: `${form.dataset.release}/${action}`, body: { reason, ...seen } };
}

async function decide(form, action) {
  const answer = form.querySelector("output");
  const { url, body } = asked(form, action);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "cd4ml-actor": encodeURIComponent(new FormData(form).get("actor")),
    },
    body: JSON.stringify(body),
  });
  const said = await response.json();
  answer.textContent = response.ok ? "Done." : [said.error, said.hint].filter(Boolean).join(" - ");
  if (response.ok) form.reset();
}

function prepareForms(root) {
  for (const form of root.querySelectorAll("form[data-release], form[data-offer]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      decide(form, event.submitter.value);
    });
  }
}

async function watch() {
  await refresh();
  setTimeout(watch, EVERY_MS);
}

prepareForms(document);
document.addEventListener("visibilitychange", refresh);
watch();
