/* table.js: what people paste and upload (CSV, TSV, JSON, JSON lines, plain lines) as pairs and items, and results as CSV. No page. */
'use strict';

/* Rows of a delimited text (RFC 4180), without empty ones. */
function parseDelimited(text, delimiter) {
  const rows = [];
  let row = [], field = '', quoted = false, begun = false;
  const endRow = () => {
    row.push(field);
    if (row.length > 1 || row[0] !== '' || begun) rows.push(row);
    row = [], field = '', begun = false;
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += '"', i++;
      else quoted = false;
    } else if (c === '"' && field === '') quoted = begun = true;
    else if (c === delimiter) row.push(field), field = '';
    else if (c === '\n') endRow();
    else if (c !== '\r' || text[i + 1] !== '\n') field += c;
  }
  if (quoted) throw new Error('a quote that is never closed');
  if (field !== '' || row.length || begun) endRow();
  return rows;
}

/* The delimiter that the first line has most of. */
function delimiterOf(text) {
  const line = text.slice(0, text.indexOf('\n') < 0 ? text.length : text.indexOf('\n'));
  let best = ',';
  for (const d of ['\t', ';', ',']) if (line.split(d).length > line.split(best).length) best = d;
  return best;
}

const itemColumns = {
  title: 'title', name: 'title', product_title: 'title', product_name: 'title', item: 'title', 'item.title': 'title',
  brand: 'brand', product_brand: 'brand', 'item.brand': 'brand', category: 'category', product_category: 'category',
  'item.category': 'category', description: 'description', product_description: 'description',
  'item.description': 'description', price: 'price', 'item.price': 'price',
};
const pairColumns = {id: 'id', pair_id: 'id', query: 'query', search: 'query', locale: 'locale'};

/* Rows with a header as {query..., item: {title, ..., attributes}}; columns that are not known become attributes. */
function pairsOfRows(rows) {
  const header = (rows[0] || []).map((h) => h.trim());
  const fields = header.map((h) => h.toLowerCase());
  return rows.slice(1).map((row, number) => {
    if (row.length !== header.length) throw new Error(`row ${number + 2} has ${row.length} columns, the header ${header.length}`);
    const pair = {item: {}}, attributes = {};
    row.forEach((value, i) => {
      if (value.trim() === '' || header[i] === '') return;
      if (Object.hasOwn(pairColumns, fields[i])) pair[pairColumns[fields[i]]] = value;
      else if (Object.hasOwn(itemColumns, fields[i])) {
        const key = itemColumns[fields[i]];
        if (!Object.hasOwn(pair.item, key)) pair.item[key] = value;
      } else if (fields[i] === 'item_id' || fields[i] === 'product_id' || fields[i] === 'item.id') pair.item.id = value;
      else if (header[i] !== '__proto__') attributes[header[i].replace(/^attributes\./, '')] = value;
    });
    if (Object.keys(attributes).length) pair.item.attributes = attributes;
    return pair;
  });
}

/* JSON: a list, or one value a line. */
function parseJson(text) {
  if (text.trimStart().startsWith('[')) return JSON.parse(text);
  return text.split('\n').map((line, i) => {
    if (line.trim() === '') return null;
    try {
      return JSON.parse(line);
    } catch (e) {
      throw new Error(`line ${i + 1}: ${e.message}`);
    }
  }).filter((x) => x !== null);
}

const looksLikeJson = (text) => /^\s*[[{]/.test(text);
const withoutMark = (text) => text.replace(/^\uFEFF/, '');

/* Pairs of a file. */
function parsePairs(text) {
  text = withoutMark(text);
  if (looksLikeJson(text)) return parseJson(text);
  const rows = parseDelimited(text, delimiterOf(text));
  const pairs = pairsOfRows(rows);
  if (!pairs.length) throw new Error('no rows');
  if (!pairs.some((p) => p.query !== undefined)) throw new Error(`no column is called query; the header has: ${rows[0].join(', ')}`);
  if (!pairs.some((p) => p.item.title !== undefined)) throw new Error(`no column is called title; the header has: ${rows[0].join(', ')}`);
  return pairs;
}

/* Items of a file or of what was pasted: JSON, a table with a title column, or a text a line. */
function parseItems(text) {
  text = withoutMark(text);
  if (looksLikeJson(text)) return parseJson(text).map((x) => (x && typeof x === 'object' && x.item !== undefined ? x.item : x));
  const first = text.slice(0, (text + '\n').indexOf('\n')).toLowerCase().split(delimiterOf(text)).map((h) => h.trim().replace(/^"|"$/g, ''));
  if (first.length > 1 && first.some((h) => itemColumns[h] === 'title'))
    return pairsOfRows(parseDelimited(text, delimiterOf(text))).map((p) => p.item);
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
}

/* A cell that no spreadsheet takes for a formula. */
function cell(value) {
  let text = value === null || value === undefined ? '' : String(value);
  if (/^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

const verdictsOf = (result) => Object.entries(result.verdicts || {}).flatMap(([criterion, v]) =>
  v !== null && typeof v === 'object' ? Object.entries(v).map(([name, verdict]) => [`${criterion}.${name}`, verdict]) : [[criterion, v]]);

/* Results with their pairs as CSV. */
function resultsCsv(pairs, results, tiers) {
  const head = ['id', 'query', 'title', 'tier', 'tier_name', 'gain', ...tiers.map((t) => `p_${t}`), 'verdicts', 'rule', 'rule_text', 'why', 'consistent'];
  const lines = results.map((r, i) => {
    const item = pairs[i].item, title = typeof item === 'string' ? item : item.title;
    return [r.id, pairs[i].query, title, r.tier, r.tier_name, r.gain, ...tiers.map((t) => r.probabilities[t]),
      verdictsOf(r).map(([k, v]) => `${k}=${v}`).join('; '), r.rule, r.rule_text, r.why, r.consistent].map(cell).join(',');
  });
  return [head.join(','), ...lines].join('\r\n') + '\r\n';
}

if (typeof module !== 'undefined') module.exports = {parseDelimited, parsePairs, parseItems, resultsCsv, cell, verdictsOf};
