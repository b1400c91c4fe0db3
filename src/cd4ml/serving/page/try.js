"use strict";
const known = JSON.parse(document.getElementById("known").textContent);
const at = (id) => document.getElementById(id);
const fields = [...document.querySelectorAll(".field[data-name]")];
const controlOf = (field) => field.querySelector("input, select");

// what cannot be read as the field's type is sent as it is: the endpoint says what is wrong
function valueOf(field) {
  const text = controlOf(field).value;
  const type = field.dataset.type;
  if (text === "") return null;
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (type !== "integer" && type !== "number") return text;
  const number = Number(text);
  return text.trim() === "" || !Number.isFinite(number) ? text : number;
}

// integers of up to 64 bits, which a number of JavaScript would round
function written(field) {
  const text = controlOf(field).value.trim();
  const isWhole = field.dataset.type === "integer" && /^-?(0|[1-9]\d*)$/.test(text);
  return isWhole ? text : JSON.stringify(valueOf(field));
}

function body() {
  const pairs = fields.map((field) => `${JSON.stringify(field.dataset.name)}: ${written(field)}`);
  return `{${pairs.join(", ")}}`;
}

const shown = (number) => Number(number.toPrecision(6)).toLocaleString("en", { maximumSignificantDigits: 6 });
const signed = (number) => `${number < 0 ? "\u2212" : "+"}${Math.abs(number).toFixed(4)}`;
const say = (id, text) => { at(id).textContent = text; };
const element = (name, text, kind) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

function clear() {
  for (const id of ["nothing", "told", "refused", "raw", "parts", "warnings"]) at(id).hidden = true;
  for (const field of fields) {
    field.classList.remove("wrong");
    field.querySelector(".error").hidden = true;
  }
}

function tell(answer) {
  const [prediction] = answer.predictions;
  say("label", known.label);
  say("score", shown(prediction.score));
  say("by", `${prediction.model}/${prediction.number}, prediction ${prediction.prediction_id}`);
  at("told").hidden = false;
  const warnings = (answer.warnings ?? []).map((each) => element("li",
    `${each.field}: expected ${each.expected}, got ${each.got}, scored as ${each.scored}`));
  at("warnings").replaceChildren(...warnings);
  at("warnings").hidden = warnings.length === 0;
  if (prediction.explanation) takeApart(prediction.explanation);
}

function takeApart(explanation) {
  const most = Math.max(...explanation.contributions.map((each) => Math.abs(each.amount)), 1e-12);
  at("bars").replaceChildren(...explanation.contributions.map((each) => {
    const row = document.createElement("tr");
    const track = element("div", "", "track");
    const bar = element("i", "", each.amount < 0 ? "down" : "up");
    const width = 50 * Math.abs(each.amount) / most;
    bar.style.width = `${width}%`;
    bar.style.left = `${each.amount < 0 ? 50 - width : 50}%`;
    track.append(bar);
    const cell = element("td", "", "bar");
    cell.append(track);
    const value = each.value === null ? "null" : String(each.value);
    row.append(element("td", `${each.field} = ${value}`, "name"), cell, element("td", signed(each.amount), "amount"));
    return row;
  }));
  const unit = explanation.unit === "answer" ? "" : ` (${explanation.unit})`;
  say("sum", `An average request ${signed(explanation.base)}, together ${signed(explanation.raw)}${unit}`);
  at("parts").hidden = false;
}

function refuse(refusal) {
  say("error", refusal.error);
  say("hint", refusal.hint ?? "");
  const others = [];
  for (const violation of refusal.violations ?? []) {
    const field = fields.find((each) => each.dataset.name === violation.field);
    const words = `expected ${violation.expected}, got ${violation.got}`;
    if (!field) { others.push(element("li", `${violation.path}: ${words}`)); continue; }
    field.classList.add("wrong");
    const place = field.querySelector(".error");
    place.textContent = words;
    place.hidden = false;
  }
  at("others").replaceChildren(...others);
  at("refused").hidden = false;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

async function ask(event) {
  event.preventDefault();
  const path = at("contributions").checked ? "predict?contributions=1" : "predict";
  const headers = { "content-type": "application/json" };
  if (at("key").value) headers["cd4ml-key"] = encodeURIComponent(at("key").value);
  const token = at("token") ? at("token").value : "";
  if (token) headers.authorization = `Bearer ${token}`;
  const sent = body();
  const button = document.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    const reply = await fetch(path, { method: "POST", headers, body: sent });
    const text = await reply.text();
    clear();
    (reply.ok ? tell : refuse)(JSON.parse(text));
    say("curl", `curl ${quoted(new URL(path, location.href).href)}${token ? " -H 'authorization: Bearer TOKEN'" : ""} -d ${quoted(sent)}`);
    say("json", text);
    at("raw").hidden = false;
  } catch (error) {
    clear();
    refuse({ error: `The endpoint does not answer: ${error.message}` });
  } finally {
    button.disabled = false;
  }
}

at("row").addEventListener("submit", ask);
