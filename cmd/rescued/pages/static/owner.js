// The owner's page: the countdown runs here; everything else is told by the stream.
'use strict';

let r = JSON.parse(document.getElementById('request').textContent);

const el = (id) => document.getElementById(id);
const show = (id, on) => { el(id).hidden = !on; };

function crewText() {
  if (!r.crew) return '';
  return [r.crew.name, r.crew.plate_masked].filter(Boolean).join(' · ');
}

function away() {
  const p = r.crew && r.crew.position;
  if (!p || r.arrived_at) return '';
  const rad = Math.PI / 180, dLat = (p.lat - r.location.lat) * rad, dLng = (p.lng - r.location.lng) * rad;
  const a = Math.sin(dLat / 2) ** 2 + Math.cos(p.lat * rad) * Math.cos(r.location.lat * rad) * Math.sin(dLng / 2) ** 2;
  const metres = 2 * 6371008.8 * Math.asin(Math.sqrt(a));
  return words.away.replace('{km}', (metres / 1000).toFixed(1)).replace('{time}', clockText(Date.parse(p.fixed_at)));
}

function owedText() {
  const g = r.guarantee;
  const c = g && g.compensation;
  if (!c || !c.fen) return '';
  return words.owed.replace('{amount}', yuan(c.fen));
}

function paint() {
  el('clock').textContent = clockText(business.now());
  const due = Date.parse((r.guarantee && r.guarantee.due_at) || r.due_at), now = business.now();
  const ended = r.arrived_at || r.closed_at;
  const left = el('left');
  left.textContent = r.arrived_at
    ? words.arrived_at.replace('{time}', clockText(Date.parse(r.arrived_at)))
    : r.closed_at ? words['state_' + r.state] : leftText(due - now);
  left.classList.toggle('over', !ended && now > due);
  left.classList.toggle('ended', Boolean(ended));
  left.setAttribute('role', ended ? 'status' : 'timer');
  el('what').textContent = ended ? '' : now > due ? words.overdue : words.left;
  el('state').textContent = words['state_' + r.state] || r.state;
  el('expected').textContent = ended ? '—' : expectedText(r.expected_at);
  el('crew').textContent = crewText() || '—';
  el('away').textContent = away();
  show('code-card', Boolean(r.arrival_code) && !ended);
  el('code').textContent = r.arrival_code || '';
  show('confirm', ['assigned', 'en_route'].includes(r.state));
  show('cancel', !['done', 'cancelled'].includes(r.state));
  el('owed').textContent = owedText();
  el('owed').hidden = !owedText();
  const reasons = (r.guarantee && r.guarantee.reasons) || [];
  el('reasons').replaceChildren(...reasons.map((x) => {
    const li = document.createElement('li');
    li.textContent = document.documentElement.lang.startsWith('zh') ? x.zh : x.en;
    return li;
  }));
  show('owed-card', reasons.length > 0);
}

function told(story) {
  el('story').replaceChildren(...story.map((s) => {
    const li = document.createElement('li'), t = document.createElement('time');
    t.dateTime = s.at;
    t.textContent = clockText(Date.parse(s.at));
    li.append(t, ' ' + s.text);
    return li;
  }));
}

async function refreshStory() {
  const res = await fetch(document.body.dataset.base + '/story');
  if (res.ok) told(await res.json());
}

function heard(d) {
  r = d;
  if (d.now) business.set(d.now, business.speed);
  paint();
  refreshStory(); // what is owed changes without a new version of the request
}

follow(document.body.dataset.api + '/stream', {
  snapshot: heard,
  change: heard,
  position(d) {
    if (!r.crew || r.crew.id !== d.crew_id) return;
    r.crew.position = d.position;
    if (d.expected_at) r.expected_at = d.expected_at;
    paint();
  },
  gone() { location.reload(); },
});
setInterval(paint, 1000);
paint();
