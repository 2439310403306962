// The wall: rows by slack, countdowns every second. Rows are built from the
// same <template> the server filled, so that there is one shape of a row.
'use strict';

const body = document.getElementById('rows');
const shape = document.getElementById('row');
const rows = new Map(); // id → data
let filter = 'all', touchedAt = 0;

for (const tr of body.querySelectorAll('tr[data-id]')) rows.set(tr.dataset.id, JSON.parse(tr.dataset.row));

function slack(r) {
  const now = business.now();
  const expected = Math.max(r.expected_at ? Date.parse(r.expected_at) : 0, now + (r.reach_s || 0) * 1000);
  return Date.parse(r.due_at) - expected;
}

function tier(r) {
  const s = slack(r) / 60000;
  return business.now() > Date.parse(r.due_at) ? 'breached' : s <= 10 ? 'risk10' : s <= 20 ? 'risk20' : 'ok';
}

const filters = {
  all: () => true,
  unassigned: (r) => !r.crew,
  stranded: (r) => Boolean(r.stranded_at),
  unproven: (r) => r.unproven,
  at_risk: (r) => Boolean(r.at_risk) && business.now() <= Date.parse(r.due_at),
  breached: (r) => tier(r) === 'breached',
  risk10: (r) => tier(r) === 'risk10',
  risk20: (r) => tier(r) === 'risk20',
};

function crewText(r) {
  if (r.unproven) return words.unproven;
  if (r.crew) return r.crew.name + ' · ' + (words['state_' + r.state] || r.state);
  if (r.offer) return words.offered + ' ' + leftText(Date.parse(r.offer.expires_at) - business.now()) + ' · ' + words.round.replace('{n}', r.offer.round);
  if (r.held) return words['held_' + r.held.why].replace('{time}', r.held.expected_at ? clockText(Date.parse(r.held.expected_at)) : '').replace('{free}', r.held.free_at ? clockText(Date.parse(r.held.free_at)) : words.now);
  if (r.stranded_at) return words.stranded + (r.stranded_why ? ' · ' + r.stranded_why : '');
  return words.waiting;
}

// What endangers the promise, and what could be done, as the server says it.
function riskText(w) {
  if (!w) return '';
  const said = (x) => document.documentElement.lang.startsWith('zh') ? x.zh : x.en;
  const parts = w.reasons.map(said);
  if (w.remedy) parts.push(words.remedy.replace('{crew}', w.remedy.crew_name).replace('{what}', said(w.remedy)));
  return parts.join(' · ');
}

function paint(tr, r) {
  const t = tier(r);
  tr.dataset.tier = t;
  const set = (name, text) => { const el = tr.querySelector('.' + name); if (el.textContent !== text) el.textContent = text; };
  set('shape', words.shapes[t]);
  set('tierword', words.tiers[t]);
  set('left', leftText(Date.parse(r.due_at) - business.now()));
  set('plate', r.plate_masked);
  set('problem', words.problems[r.problem] || r.problem);
  set('priority', words.priorities[r.priority] || '');
  set('place', [r.area_name || r.area, r.address].filter(Boolean).join(' · '));
  set('opened', clockText(Date.parse(r.opened_at)));
  set('expected', expectedText(r.expected_at));
  set('crew', crewText(r));
  set('risk', riskText(r.at_risk));
  tr.querySelector('.crew').classList.toggle('stranded', Boolean(r.stranded_at || r.unproven));
  tr.hidden = !filters[filter](r);
}

function rowOf(id) {
  let tr = body.querySelector('tr[data-id="' + CSS.escape(id) + '"]');
  if (!tr) {
    tr = shape.content.firstElementChild.cloneNode(true);
    tr.dataset.id = id;
    tr.querySelector('.plate').href = '/finance/requests/' + id;
    body.append(tr);
  }
  return tr;
}

// The order changes only while nobody points at the list or reads in it with
// the keyboard: a row must not move from under a finger.
function sortRows() {
  if (performance.now() - touchedAt < 3000) return;
  const want = [...rows.values()].sort((a, b) => slack(a) - slack(b) || (a.id < b.id ? -1 : 1));
  want.forEach((r, i) => { const tr = rowOf(r.id); if (body.children[i] !== tr) body.insertBefore(tr, body.children[i] || null); });
}

function repaint() {
  const counts = {};
  for (const name of Object.keys(filters)) counts[name] = 0;
  for (const r of rows.values()) {
    paint(rowOf(r.id), r);
    for (const [name, test] of Object.entries(filters)) if (test(r)) counts[name]++;
  }
  for (const [name, n] of Object.entries(counts)) {
    const el = document.querySelector('[data-filter="' + name + '"] .n');
    if (el) el.textContent = n;
  }
  document.getElementById('empty').hidden = rows.size > 0;
  const summary = words.summary.replace('{all}', counts.all).replace('{breached}', counts.breached).replace('{stranded}', counts.stranded);
  const status = document.getElementById('summary');
  if (status.textContent !== summary) status.textContent = summary;
  document.getElementById('clock').textContent = clockText(business.now());
  sortRows();
}

for (const button of document.querySelectorAll('[data-filter]')) {
  button.addEventListener('click', () => {
    filter = button.dataset.filter;
    for (const b of document.querySelectorAll('[data-filter]')) b.setAttribute('aria-pressed', String(b === button));
    repaint();
  });
}
for (const kind of ['pointermove', 'keydown', 'focusin']) body.addEventListener(kind, () => { touchedAt = performance.now(); });

function drop(id) {
  rows.delete(id);
  body.querySelector('tr[data-id="' + CSS.escape(id) + '"]')?.remove();
}

follow('/v1/queue/stream', {
  snapshot(d) {
    business.set(d.now, d.speed);
    for (const id of [...rows.keys()]) if (!d.rows.some((r) => r.id === id)) drop(id);
    for (const r of d.rows) rows.set(r.id, r);
    repaint();
  },
  change(d) {
    if (d.now) business.set(d.now, d.speed);
    if (d.gone) drop(d.id); else rows.set(d.row.id, d.row);
    repaint();
  },
  reset() {}, // a fresh snapshot follows by itself
});
setInterval(repaint, 1000);
repaint();
