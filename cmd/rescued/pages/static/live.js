// What every live page shares: the business clock, a countdown, and a stream
// that says in words how fresh the data is.
'use strict';

const words = JSON.parse(document.getElementById('words').textContent);

// business runs the system's clock in the page: the server's reading, carried
// on at the system's speed.
const business = {
  base: 0, heard: 0, speed: 1,
  set(now, speed) { this.base = Date.parse(now); this.heard = performance.now(); this.speed = speed || this.speed; },
  now() { return this.base + (performance.now() - this.heard) * this.speed; },
};
business.set(document.body.dataset.now, Number(document.body.dataset.speed));

function clockText(ms) {
  return new Intl.DateTimeFormat(document.documentElement.lang, {
    hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false, timeZone: document.body.dataset.zone,
  }).format(new Date(ms));
}

// leftText is mm:ss, or h:mm:ss from an hour on; past the moment it begins with −.
function leftText(ms) {
  const s = Math.floor(Math.abs(ms) / 1000), two = (n) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return (ms < 0 ? '−' : '') + (h ? h + ':' + two(m) : two(m)) + ':' + two(s % 60);
}

// expectedText says when a crew is expected, and how long that is ago when it
// has passed.
function expectedText(at) {
  if (!at) return '—';
  const late = business.now() - Date.parse(at), clock = clockText(Date.parse(at));
  return late > 0 ? clock + ' · ' + words.passed.replace('{time}', leftText(late)) : clock;
}

function yuan(fen) { return '¥' + (fen / 100).toFixed(2).replace(/\B(?=(\d{3})+\.)/g, ','); }

// follow listens to a stream and keeps the words about its freshness. EventSource
// reconnects by itself, with Last-Event-ID; `on` maps event names to handlers.
function follow(url, on) {
  const state = document.getElementById('connection');
  let lost = 0, heard = performance.now(), lastNow = business.now(), source;
  const say = () => {
    const quiet = (performance.now() - heard) / 1000;
    const stale = lost > 0 || quiet > 40;
    document.body.classList.toggle('stale', stale && quiet > 15);
    state.className = stale ? 'late' : 'live';
    state.textContent = !stale ? words.live
      : quiet > 15 ? words.stopped_at.replace('{time}', clockText(lastNow))
      : words.reconnecting.replace('{seconds}', Math.ceil(quiet));
  };
  const touched = () => { lost = 0; heard = performance.now(); lastNow = business.now(); };
  const open = () => {
    source = new EventSource(url);
    source.onopen = touched;
    source.onerror = () => {
      lost++;
      // A refused stream (the link has ended, the login has expired) is closed
      // for good; try afresh now and then rather than never.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
    source.addEventListener('beat', (e) => { touched(); const d = JSON.parse(e.data); business.set(d.now, d.speed); });
    for (const [name, handle] of Object.entries(on)) {
      source.addEventListener(name, (e) => { touched(); handle(JSON.parse(e.data || 'null')); });
    }
  };
  open();
  setInterval(say, 1000);
  addEventListener('pagehide', () => source.close());
}
