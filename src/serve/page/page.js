/* page.js: the page at /: one query's items ranked, a file judged, the rulebook shown. Talks to the same API as everyone. */
'use strict';

const $ = (id) => document.getElementById(id);
let book = null; /* /v1/rulebook */
let token = sessionStorage.getItem('agrl-token') || '';

function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) e[key] = value;
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function say(id, text, bad = false) {
  $(id).textContent = text;
  $(id).classList.toggle('bad', bad);
}

/* --- the API ------------------------------------------------------------------------------------------------------- */

class ApiError extends Error {
  constructor(status, message, retry) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

async function api(path, body, signal) {
  const headers = {};
  if (token) headers.Authorization = 'Bearer ' + token;
  if (body) headers['Content-Type'] = 'application/json';
  let answer, json = null;
  try {
    answer = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal});
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError(0, 'the server cannot be reached', 2);
  }
  try {
    json = await answer.json();
  } catch (e) { /* the status says enough */ }
  if (answer.ok && json) return json;
  if (answer.status === 401) $('token-form').hidden = false;
  throw new ApiError(answer.status, (json && json.error && json.error.message) || `status ${answer.status}`, Number(answer.headers.get('Retry-After')) || 2);
}

const sleep = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  if (signal) signal.addEventListener('abort', () => (clearTimeout(timer), reject(new DOMException('stopped', 'AbortError'))));
});

/* Busy is not broken: 429 and 503 are tried again as long as the server says. */
async function patiently(path, body, signal, waiting) {
  for (;;) {
    try {
      return await api(path, body, signal);
    } catch (e) {
      if (!(e instanceof ApiError) || (e.status !== 429 && e.status !== 503)) throw e;
      waiting(e);
      await sleep(e.retry, signal);
    }
  }
}

/* --- results --------------------------------------------------------------------------------------------------------- */

const tierIndex = (id) => book.tiers.findIndex((t) => t.id === id);

/* Four colours over however many tiers. */
function tierClass(id) {
  const i = tierIndex(id), n = book.tiers.length;
  return i < 0 ? 'cx' : 'c' + Math.round((3 * i) / Math.max(1, n - 1));
}

const tierName = (id) => { const t = book.tiers[tierIndex(id)]; return t && t.name !== id ? `${id} ${t.name}` : id; };
const percent = (p) => (p > 0 && p < 0.005 ? '<1%' : p < 1 && p > 0.995 ? '>99%' : Math.round(100 * p) + '%');

function facts(item) {
  if (typeof item === 'string') return '';
  const parts = [item.brand, item.category, item.price === undefined || item.price === null ? null : 'price ' + item.price];
  for (const [name, value] of Object.entries(item.attributes || {})) parts.push(`${name} ${Array.isArray(value) ? value.join(', ') : value}`);
  return parts.filter((p) => p).join(' · ');
}

function bar(result) {
  const strip = element('div', {className: 'bar'}), odds = element('div', {className: 'odds'});
  strip.setAttribute('aria-hidden', 'true');
  for (const t of book.tiers) {
    const p = result.probabilities[t.id];
    const part = element('span', {className: tierClass(t.id)});
    part.style.width = 100 * p + '%';
    strip.append(part);
    odds.append(element('span', {}, element('b', {className: tierClass(t.id), textContent: tierName(t.id)}), ' ' + percent(p)));
  }
  return [strip, odds];
}

function criterionName(id) {
  const c = book.criteria.find((x) => x.id === id);
  return c ? c.name : id;
}

const askText = (a) => `${a.name} ${a.op === 'is' ? '' : a.op.replace('_', ' ') + ' '}${[].concat(a.value).join(a.op === 'between' ? ' and ' : ' or ')}`;

/* Verdicts by requested attribute stand in the order of what was asked. */
function chips(result) {
  const list = element('ul', {className: 'chips'});
  for (const [criterion, v] of Object.entries(result.verdicts || {})) {
    if (v === null || typeof v !== 'object') list.append(element('li', {}, criterionName(criterion) + ': ', element('b', {textContent: v})));
    else Object.entries(v).forEach(([name, verdict], i) => list.append(element('li', {}, (result.asked[i] ? askText(result.asked[i]) : name) + ': ', element('b', {textContent: verdict}))));
  }
  return list;
}

function card(item, result, rank) {
  const title = typeof item === 'string' ? item : item.title || '';
  const li = element('li', {className: 'card'},
    element('h3', {}, element('span', {className: 'rank', textContent: rank}), element('span', {className: 'title', textContent: title}),
      element('span', {className: 'tier ' + tierClass(result.tier), textContent: tierName(result.tier)})));
  const known = facts(item);
  if (known) li.append(element('p', {className: 'facts', textContent: known}));
  li.append(...bar(result));
  if (result.verdicts) {
    li.append(chips(result));
    if (result.rule) li.append(element('p', {className: 'rule'}, element('b', {textContent: result.rule}), ' ' + (result.rule_text || '')));
    if (result.why && result.why !== result.rule) li.append(element('p', {}, 'Reason: ' + result.why));
    li.append(element('p', {className: 'flag ' + (result.consistent ? 'yes' : 'no'), textContent: result.consistent
      ? '✓ the tier follows from the verdicts'
      : `✗ not consistent: the verdicts give tier ${tierName(result.derived.tier)}${result.derived.rule ? ' by ' + result.derived.rule : ''}`}));
  }
  if (result.cut) li.append(element('p', {className: 'facts', textContent: 'Too long for the prompt: a part of it was left out.'}));
  return li;
}

function showAsked(result) {
  const asked = result && result.asked;
  if (!asked) return say('asked', '');
  const texts = asked.map(askText);
  say('asked', (texts.length ? 'Asked: ' + texts.join('; ') : 'Nothing is asked but the product itself') + ` (${result.asked_source === 'parsed' ? 'read from the query' : 'given'})`);
}

/* --- judge ------------------------------------------------------------------------------------------------------------- */

let judging = null;

async function judge(event) {
  event.preventDefault();
  const query = $('query').value.trim();
  if (!query || !book) return;
  if (judging) judging.abort();
  const mine = judging = new AbortController();
  try {
    say('judge-status', 'looking for items…');
    let items;
    if ($('source-catalogue').checked) items = (await api(`v1/catalogue?query=${encodeURIComponent(query)}&top=${encodeURIComponent($('top').value || 20)}`, null, mine.signal)).items;
    else items = parseItems($('items').value);
    $('results').replaceChildren();
    showAsked(null);
    if (!items.length) return say('judge-status', $('source-catalogue').checked ? 'The catalogue has nothing with a word of this query.' : 'Write or choose some items first.', true);
    const done = [], step = Math.min(16, book.max_pairs), begin = performance.now();
    for (let at = 0; at < items.length; at += step) {
      say('judge-status', `judging ${items.length} items… ${at} done`);
      const part = items.slice(at, at + step);
      const answer = await patiently('v1/judge', {pairs: part.map((item) => ({query, item})), explain: true}, mine.signal, (e) => say('judge-status', e.message + '…'));
      answer.results.forEach((result, i) => done.push({item: part[i], result, at: at + i}));
      if (at === 0) showAsked(answer.results[0]);
      done.sort((a, b) => b.result.gain - a.result.gain || a.at - b.at);
      $('results').replaceChildren(...done.map((d, i) => card(d.item, d.result, i + 1)));
    }
    say('judge-status', `${items.length} items in ${((performance.now() - begin) / 1000).toFixed(1)} s, best first by expected gain`);
  } catch (e) {
    if (e.name !== 'AbortError') say('judge-status', e.message, true);
  } finally {
    if (judging === mine) judging = null;
  }
}

/* --- batch -------------------------------------------------------------------------------------------------------------- */

let batch = null, links = [];
const SHOWN = 50;

function offer(id, text, type, name) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  links.push(url);
  $(id).href = url;
  $(id).download = name;
}

function offerResults(pairs, results, name) {
  links.forEach((url) => URL.revokeObjectURL(url));
  links = [];
  const base = name.replace(/\.[^.]*$/, '') + '-judged';
  offer('download-csv', resultsCsv(pairs, results, book.tiers.map((t) => t.id)), 'text/csv', base + '.csv');
  offer('download-jsonl', results.map((r, i) => JSON.stringify({...pairs[i], ...r})).join('\n') + '\n', 'application/x-ndjson', base + '.jsonl');
  $('downloads').hidden = results.length === 0;
}

function tally(results) {
  $('tally').replaceChildren(...book.tiers.map((t) => {
    const n = results.filter((r) => r.tier === t.id).length;
    return element('li', {}, element('b', {className: tierClass(t.id), textContent: tierName(t.id)}), ` ${n} (${percent(n / results.length)})`);
  }));
}

function addRow(pair, result) {
  const item = pair.item, title = typeof item === 'string' ? item : item.title;
  const row = element('tr');
  for (const text of [pair.query, title, null, result.gain.toFixed(2), result.rule || '']) row.append(element('td', {textContent: text}));
  row.children[2].append(element('b', {className: tierClass(result.tier), textContent: tierName(result.tier)}));
  $('batch-table').tBodies[0].append(row);
  $('batch-table').hidden = false;
}

function progress(done, total, begin) {
  const seconds = (performance.now() - begin) / 1000, rate = done / seconds;
  $('batch-bar').value = done / total;
  say('batch-status', `${done} of ${total} pairs, ${rate.toFixed(1)} a second` + (done < total && done ? `, ${Math.ceil((total - done) / rate)} s left` : ''));
}

async function runBatch(event) {
  event.preventDefault();
  const file = $('batch-file').files[0];
  if (!file || !book || batch) return;
  batch = new AbortController();
  let pairs = [];
  const results = [], explain = $('batch-explain').checked;
  $('batch-go').disabled = true;
  $('batch-stop').disabled = false;
  $('downloads').hidden = $('batch-table').hidden = true;
  $('batch-table').tBodies[0].replaceChildren();
  $('tally').replaceChildren();
  try {
    pairs = parsePairs(await file.text());
    if (!pairs.length) throw new Error('the file has no pairs');
    $('batch-bar').hidden = false;
    const begin = performance.now(), step = Math.min(explain ? 16 : 64, book.max_pairs);
    for (let at = 0; at < pairs.length; at += step) {
      const part = pairs.slice(at, at + step);
      let answer;
      try {
        answer = await patiently('v1/judge', {pairs: part, explain}, batch.signal, (e) => say('batch-status', e.message + '…'));
      } catch (e) {
        if (e instanceof ApiError) e.message = e.message.replace(/pairs\[(\d+)\]/g, (all, i) => `pair ${at + Number(i) + 1}`);
        throw e;
      }
      answer.results.forEach((r, i) => {
        if (results.length < SHOWN) addRow(part[i], r);
        results.push(r);
      });
      progress(results.length, pairs.length, begin);
      tally(results);
    }
  } catch (e) {
    const rest = results.length ? ` after ${results.length} of ${pairs.length} pairs; what is done can be downloaded` : '';
    say('batch-status', (e.name === 'AbortError' ? 'stopped' : e.message) + rest, e.name !== 'AbortError');
  } finally {
    if (results.length) offerResults(pairs, results, file.name);
    batch = null;
    $('batch-go').disabled = false;
    $('batch-stop').disabled = true;
  }
}

/* --- the rulebook --------------------------------------------------------------------------------------------------------- */

function table(heads, rows) {
  return element('table', {}, element('thead', {}, element('tr', {}, ...heads.map((h) => element('th', {scope: 'col', textContent: h})))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map((c) => element('td', {}, c))))));
}

function showBook() {
  const code = (text) => element('code', {textContent: text});
  const tier = (id) => element('b', {className: tierClass(id), textContent: tierName(id)});
  $('rulebook').replaceChildren(
    element('h2', {textContent: `${book.name} ${book.version}`}),
    element('p', {className: 'text', textContent: book.instruction.trim()}),
    element('h2', {textContent: 'Tiers, best first'}),
    table(['Tier', 'Gain', 'Counts as'], book.tiers.map((t) => [tier(t.id), `gain ${t.gain}`, t.good ? 'good' : 'not good'])),
    element('h2', {textContent: 'Criteria'}),
    table(['Criterion', 'For', 'Verdicts, best first'], book.criteria.map((c) => [element('b', {textContent: c.name}), c.per_asked ? 'each requested attribute' : 'the pair', c.verdicts.join(', ')])),
    element('h2', {textContent: 'Rules'}),
    element('p', {textContent: 'Each rule that holds limits the tier. The worst limit is the tier; the first rule with that limit decides.'}),
    table(['Rule', 'At most', 'Text', 'When'], book.rules.map((r) => [element('b', {textContent: r.id}), tier(r.cap), r.text, code(r.when)])),
    element('h2', {textContent: 'Attributes'}),
    table(['Attribute', 'Importance'], book.attributes.map((a) => [a.name, a.importance])),
    element('p', {className: 'facts'}, 'Digest ', code(book.digest)));
}

/* --- the page ---------------------------------------------------------------------------------------------------------------- */

const tabs = ['judge', 'batch', 'rules'];

function openTab(name, focus) {
  for (const t of tabs) {
    const on = t === name;
    $('tab-' + t).setAttribute('aria-selected', on);
    $('tab-' + t).tabIndex = on ? 0 : -1;
    $('view-' + t).hidden = !on;
  }
  if (focus) $('tab-' + name).focus();
}

function onTabKey(event) {
  const at = tabs.findIndex((t) => $('tab-' + t) === event.target), n = tabs.length;
  const to = {ArrowRight: (at + 1) % n, ArrowLeft: (at + n - 1) % n, Home: 0, End: n - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  openTab(tabs[to], true);
}

function showSource() {
  $('own').hidden = $('source-catalogue').checked;
}

async function begin() {
  for (;;) {
    try {
      book = await api('v1/rulebook');
      break;
    } catch (e) {
      $('about').textContent = e.message;
      if (e.status === 401) return;
      await sleep(1);
    }
  }
  $('token-form').hidden = true;
  $('about').textContent = `model ${book.model}, rulebook ${book.name} ${book.version}` + (book.catalogue_items ? `, catalogue of ${book.catalogue_items} items` : '');
  if (book.catalogue_items) {
    $('source-catalogue-label').hidden = false;
    $('source-catalogue').checked = true;
  }
  showSource();
  showBook();
}

tabs.forEach((t) => {
  $('tab-' + t).addEventListener('click', () => openTab(t, false));
  $('tab-' + t).addEventListener('keydown', onTabKey);
});
$('judge-form').addEventListener('submit', judge);
$('batch-form').addEventListener('submit', runBatch);
$('batch-stop').addEventListener('click', () => batch && batch.abort());
$('source').addEventListener('change', showSource);
$('items').addEventListener('keydown', (e) => {
  if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) $('judge-form').requestSubmit();
});
$('items-file').addEventListener('change', async (e) => {
  if (e.target.files[0]) $('items').value = await e.target.files[0].text();
});
$('token-form').addEventListener('submit', (e) => {
  e.preventDefault();
  token = $('token').value.trim();
  sessionStorage.setItem('agrl-token', token);
  begin();
});
document.addEventListener('keydown', (e) => {
  if (e.key !== '/' || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
  e.preventDefault();
  openTab('judge', false);
  $('query').focus();
});
begin();
