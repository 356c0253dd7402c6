/* sxs.js: the judges' site. A judge's secret stands behind '#' in the link, so it is in no address that is sent or logged; every
 * request carries it in a header. What is half done is kept in this tab until it is saved. */
'use strict';
(() => {
  const $ = id => document.getElementById(id);
  let token = location.hash.slice(1), task = null, ratings = {}, at = null, busy = false;
  const kept = { get: k => { try { return sessionStorage.getItem(k); } catch { return null; } },
                 set: (k, v) => { try { sessionStorage.setItem(k, v); } catch { /* a page without storage still works */ } } };
  const make = (tag, name, text) => {
    const e = document.createElement(tag);
    if (name) e.className = name;
    if (text !== undefined) e.textContent = text;
    return e;
  };

  async function call(path, body) {
    const options = { method: body ? 'POST' : 'GET', cache: 'no-store', headers: { 'X-Judge': token } };
    if (body) {
      options.headers['Content-Type'] = 'application/json';
      options.body = JSON.stringify(body);
    }
    const answer = await fetch(path, options);
    const json = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(json.error ? json.error.message : 'status ' + answer.status), { status: answer.status });
    return json;
  }

  function say(text, wrong) {
    $('status').textContent = text;
    $('status').className = wrong ? 'wrong' : '';
  }

  function show(part) {
    for (const id of ['enter', 'text', 'task']) $(id).hidden = id !== part;
  }

  function tell(text) {
    $('text').textContent = text;
    show('text');
  }

  /* --- results --- */

  function price(item) {
    const p = item.price;
    if (p === undefined || p === null || p === '') return '';
    const text = typeof p === 'number' ? p.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : String(p);
    return item.currency ? text + ' ' + item.currency : text;
  }

  function stock(item) {
    const s = item.stock;
    if (s === true) return 'in stock';
    if (s === false || s === 0) return 'out of stock';
    if (typeof s === 'number') return s + ' in stock';
    return s ? String(s).replace(/_/g, ' ') : '';
  }

  function card(item, rank) {
    const li = make('li');
    li.tabIndex = -1;
    li.dataset.item = item.item;
    li.append(make('span', 'rank', rank));
    if (item.image) {
      const img = make('img');
      img.alt = '';
      img.loading = 'lazy';
      img.referrerPolicy = 'no-referrer';
      img.src = item.image;
      img.addEventListener('error', () => img.remove());
      li.append(img);
    }
    const what = make('div', 'what'), facts = make('div', 'facts');
    what.append(make('div', 'title', item.title));
    if (price(item)) facts.append(make('span', 'price', price(item)));
    for (const f of [item.brand, stock(item)]) if (f) facts.append(make('span', '', f));
    if (facts.childNodes.length) what.append(facts);
    if (item.description) {
      const d = make('details'), s = make('summary', '', 'Details');
      s.tabIndex = -1;
      d.append(s, make('p', '', item.title), make('p', '', item.description));
      what.append(d);
    }
    li.append(what);
    const rate = make('div', 'rate');
    for (const [name, text, value] of [['good', 'Good', true], ['bad', 'Not good', false]]) {
      const b = make('button', name, text);
      b.type = 'button';
      b.tabIndex = -1;
      b.setAttribute('aria-pressed', 'false');
      b.addEventListener('click', () => { go(li, false); setRating(item.item, value); });
      rate.append(b);
    }
    li.append(rate);
    li.addEventListener('click', () => go(li, false));
    return li;
  }

  const cards = () => [...document.querySelectorAll('li')];

  function setRating(item, good) {
    ratings[item] = good;
    paint();
    keep();
  }

  /* A product on both sides is one product: its rating shows on both. */
  function paint() {
    for (const li of cards()) {
      const r = ratings[li.dataset.item], [g, b] = li.querySelectorAll('.rate button');
      g.setAttribute('aria-pressed', String(r === true));
      b.setAttribute('aria-pressed', String(r === false));
      if (r !== undefined) li.classList.remove('missed');
    }
  }

  function go(li, scroll) {
    for (const other of cards()) other.classList.toggle('at', other === li);
    at = li;
    if (!li) return;
    li.focus({ preventScroll: true });
    if (scroll) li.scrollIntoView({ block: 'nearest' });
  }

  function unrated() {
    return cards().filter(li => ratings[li.dataset.item] === undefined);
  }

  /* After a rating: the next one below without a rating, else the first of all. */
  function goOn() {
    const all = cards(), rest = unrated();
    const next = rest.find(li => all.indexOf(li) > all.indexOf(at)) || rest[0];
    if (next) go(next, true);
    else {
      go(null);
      say('All are rated. Which side is better?');
      if (document.activeElement && document.activeElement !== document.body) document.activeElement.blur();
    }
  }

  function move(key) {
    const side = at ? at.parentElement : $('left'), items = [...side.children].filter(e => e.matches('li'));
    const i = at ? items.indexOf(at) : -1, other = $(side.id === 'left' ? 'right' : 'left');
    if (key === 'ArrowDown') go(items[Math.min(i + 1, items.length - 1)] || null, true);
    if (key === 'ArrowUp') go(items[Math.max(i - 1, 0)] || null, true);
    const across = [...other.children].filter(e => e.matches('li'));
    if ((key === 'ArrowRight' && side.id === 'left') || (key === 'ArrowLeft' && side.id === 'right'))
      if (across.length) go(across[Math.min(Math.max(i, 0), across.length - 1)], true);
  }

  /* --- a task --- */

  function keep() {
    const chosen = document.querySelector('input[name=p]:checked');
    if (task) kept.set('half-' + task.task, JSON.stringify({ token, ratings, chosen: chosen && chosen.value, comment: $('comment').value }));
  }

  function restore() {
    let half = null;
    try { half = JSON.parse(kept.get('half-' + task.task)); } catch { /* nothing kept */ }
    if (task.answer) {
      const a = task.answer;
      half = { token, ratings: a.ratings, chosen: a.skip ? null : a.both || String(a.preference), comment: a.comment };
    }
    if (!half || half.token !== token) return;
    ratings = half.ratings || {};
    for (const r of document.querySelectorAll('input[name=p]')) r.checked = r.value === half.chosen;
    $('comment').value = half.comment || '';
  }

  function fill(side, items) {
    $(side).replaceChildren(...items.map((item, i) => card(item, i + 1)));
    if (!items.length) $(side).append(make('span', 'empty', 'No results'));
  }

  function open(json) {
    task = json;
    ratings = {};
    at = null;
    const n = json.answered || 0, skipped = json.skipped || 0, left = json.remaining + (json.task && !json.answer ? 1 : 0);
    $('who').textContent = json.judge + ': ' + n + ' judged' + (skipped ? ', ' + skipped + ' skipped' : '') + ', about ' + left + ' to go';
    $('back').disabled = n + skipped === 0 || !!json.answer;
    if (!json.task) {
      tell('Nothing is left to judge. Thank you!');
      return;
    }
    $('task').reset();
    $('query').textContent = json.query;
    fill('left', json.left);
    fill('right', json.right);
    restore();
    paint();
    say(json.answer ? 'Your last answer. Save it again to change it.' : '');
    show('task');
    scrollTo(0, 0);
    go(unrated()[0] || null, false);
  }

  async function next() {
    try {
      open(await call('api/task'));
    } catch (e) {
      if (e.status === 401) enter(token !== '');
      else {
        tell('No answer from the server (' + e.message + '). What you saved is safe; trying again …');
        setTimeout(next, 3000);
      }
    }
  }

  async function back() {
    if (busy || $('back').disabled) return;
    try { open(await call('api/last')); } catch (e) { say(e.message, true); }
  }

  async function send(body) {
    if (busy) return;
    busy = true;
    $('save').disabled = $('skip').disabled = true;
    say('Saving …');
    try {
      await call('api/answer', Object.assign({ task: task.task, comment: $('comment').value }, body));
      kept.set('half-' + task.task, '');
      await next();
    } catch (e) {
      say('Not saved: ' + e.message + '. Nothing is lost; press Save again.', true);
    }
    busy = false;
    $('save').disabled = $('skip').disabled = false;
  }

  function save() {
    const rest = unrated(), chosen = document.querySelector('input[name=p]:checked');
    for (const li of rest) li.classList.add('missed');
    if (rest.length) {
      go(rest[0], true);
      say('Please rate every result: ' + new Set(rest.map(li => li.dataset.item)).size + ' left.', true);
    } else if (!chosen) {
      say('Please say which side is better.', true);
    } else {
      const same = chosen.value === 'good' || chosen.value === 'bad';
      send(Object.assign({ ratings, preference: same ? 0 : Number(chosen.value) }, same ? { both: chosen.value } : {}));
    }
  }

  function enter(unknown) {
    fetch('api/open', { cache: 'no-store' }).then(r => r.json()).then(j => {
      if (j.open) show('enter');
      else tell(unknown ? 'This link is not known here. Please ask for a new one.' : 'Please open the link that you were given.');
      if (j.open) $('name').focus();
    }).catch(() => tell('No answer from the server.'));
  }

  /* --- events --- */

  function help() {
    $('keys').hidden = !$('keys').hidden;
    $('help').setAttribute('aria-expanded', String(!$('keys').hidden));
  }

  function key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || $('task').hidden && e.key !== '?') return;
    if (e.target.matches('input:not([type=radio])')) {
      if (e.key === 'Escape') e.target.blur();
      return;
    }
    const k = e.key.length === 1 ? e.key.toLowerCase() : e.key;
    const actions = { g: () => rateHere(true), b: () => rateHere(false), s: () => send({ skip: true }), z: back, c: () => $('comment').focus(), '?': help };
    if (k.startsWith('Arrow')) move(k);
    else if (k >= '1' && k <= '6' && k.length === 1) {
      document.querySelectorAll('input[name=p]')[Number(k) - 1].checked = true;
      keep();
      say('');
    } else if (k === 'Enter' && !e.target.matches('button, summary')) save();
    else if (actions[k]) actions[k]();
    else return;
    e.preventDefault();
  }

  function rateHere(good) {
    if (!at) return;
    setRating(at.dataset.item, good);
    goOn();
  }

  $('task').addEventListener('submit', e => { e.preventDefault(); save(); });
  $('task').addEventListener('input', keep);
  $('skip').addEventListener('click', () => send({ skip: true }));
  $('back').addEventListener('click', back);
  $('help').addEventListener('click', help);
  $('enter').addEventListener('submit', async e => {
    e.preventDefault();
    try {
      token = (await call('api/enter', { name: $('name').value.trim() })).token;
      history.replaceState(null, '', '#' + token);
      next();
    } catch (x) { tell(x.message); }
  });
  document.addEventListener('keydown', key);
  addEventListener('hashchange', () => { token = location.hash.slice(1); next(); });
  next();
})();
