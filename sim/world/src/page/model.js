// From the data of a run to what is drawn: bars, arrows, bands; and what a search
// finds. Numbers of events count from the run's first; an index counts from the first
// that is kept.

const KIND = { in: 0, out: 1, sent: 2, fault: 3, spawned: 4, woken: 5, resumed: 6, yielded: 7, done: 8, dropped: 9 };
const ARRIVED = ['', 'the host is down', 'the ring of the card is full'];
const WAITS = ['accept', 'connect', 'read', 'write', 'flush', 'close', 'sleep', 'turn', 'ready', 'other'];

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
}

// 1.250000, as everywhere.
function seconds(micros) {
  const whole = Math.floor(micros / 1e6);
  return `${whole}.${String(Math.floor(micros - whole * 1e6)).padStart(6, '0')}`;
}

function model(data) {
  const count = data.kind.length;
  const at = new Float64Array(count);
  for (let e = 0, now = 0; e < count; e++) at[e] = now += data.at[e];
  const passages = new Map();
  for (let e = 0, next = 0; e < count; e++) if (data.kind[e] === KIND.sent) passages.set(e, data.passages[next++]);
  const children = new Map();
  const cause = (e) => (data.cause[e] && e - data.cause[e] >= 0 ? e - data.cause[e] : -1);
  for (let e = 0; e < count; e++) {
    const from = cause(e);
    if (from >= 0) children.set(from, [...(children.get(from) || []), e]);
  }
  const start = count ? at[0] : 0;
  const lanes = data.lanes.map(([name, kind]) => ({ name, kind, rows: 0, bars: [], bands: [], events: [], open: true }));
  const run = {
    data, count, at, start, lanes, passages, children, cause,
    end: Math.max(start + 1, count ? at[count - 1] : 0, data.violation ? data.violation.at : 0),
    first: data.first, factsOf: new Map(), arrows: [],
    number: (e) => e + data.first,
    index: (number) => (number >= data.first && number < data.first + count ? number - data.first : -1),
    line: (e) => `${e + data.first} ${seconds(at[e])} ${data.words[e]}`,
  };
  data.facts.forEach(([, number], fact) => {
    const e = number < 0 ? -1 : run.index(number);
    if (e >= 0) run.factsOf.set(e, [...(run.factsOf.get(e) || []), fact]);
  });
  tasks(run);
  bands(run);
  arrows(run);
  return run;
}

// What each task waits for, from a yield to a wake.
function tasks(run) {
  const { data, lanes, at } = run;
  const open = lanes.map(() => new Map());
  const begin = (lane, task, bar) => {
    lanes[lane].rows = Math.max(lanes[lane].rows, task + 1);
    open[lane].set(task, bar);
  };
  const end = (lane, task, t1, e1) => {
    const bar = open[lane].get(task);
    if (!bar) return;
    open[lane].delete(task);
    lanes[lane].bars.push({ ...bar, row: task, t1, e1 });
  };
  const waiting = (words, t0, e0) => {
    const found = /^\S+ yield (\d+) (.*)  \((\w+), (\S+)\)$/.exec(words);
    if (!found) return null;
    const [, task, name, reason, socket] = found;
    const kind = WAITS.includes(reason) ? reason : 'other';
    return [Number(task), { t0, e0, kind, name, label: socket === '-' ? reason : `${reason} ${socket}` }];
  };
  for (const [lane, [, t0, words]] of data.waits) {
    const found = waiting(words, t0, -1);
    if (found) begin(lane, ...found);
  }
  for (let e = 0; e < run.count; e++) {
    const lane = data.place[e];
    const words = data.words[e];
    if (lane >= 0) lanes[lane].events.push(e);
    switch (data.kind[e]) {
      case KIND.yielded: {
        const found = waiting(words, at[e], e);
        if (found) {
          end(lane, found[0], at[e], e);
          begin(lane, ...found);
        }
        break;
      }
      case KIND.woken:
      case KIND.resumed:
      case KIND.done: {
        const [, word, task, ...name] = words.split(' ');
        end(lane, Number(task), at[e], e);
        if (word === 'wake') begin(lane, Number(task), { t0: at[e], e0: e, kind: 'ready', name: name.join(' '), label: 'ready' });
        break;
      }
      case KIND.fault: {
        const [, what, who] = words.split(' ');
        const down = lanes.findIndex((lane) => lane.name === who && lane.kind === 'host');
        if ((what === 'crash' || what === 'boot') && down >= 0) {
          for (const task of [...open[down].keys()]) end(down, task, at[e], e);
        }
        break;
      }
    }
  }
  lanes.forEach((lane, number) => {
    for (const task of [...open[number].keys()]) end(number, task, Infinity, -1);
    lane.bars.sort((a, b) => a.t0 - b.t0);
  });
}

// Faults that last, from their fact to the fact that ends them, or to the heal.
function bands(run) {
  const { data, lanes, at } = run;
  const open = new Map();
  const begin = (lane, kind, t0, e, label) => {
    if (lane < 0) return;
    end(lane, kind, t0);
    open.set(`${lane} ${kind}`, { lane, kind, t0, e, label });
  };
  const end = (lane, kind, t1) => {
    const band = open.get(`${lane} ${kind}`);
    if (!band) return false;
    open.delete(`${lane} ${kind}`);
    lanes[lane].bands.push({ ...band, t1 });
    return true;
  };
  const heal = () => {
    if (!('healed' in data)) return;
    for (const { lane, kind } of [...open.values()]) end(lane, kind, data.healed);
  };
  // A link's fault is shown at its ends that are hosts, and at a switch if there is none.
  const ends = (name) => {
    const link = data.links.find(([known]) => known === name);
    const both = link ? link.slice(1).filter((lane) => lane >= 0) : [];
    const hosts = both.filter((lane) => lanes[lane].kind === 'host');
    return hosts.length ? hosts : both.slice(0, 1);
  };
  const strike = (t, e, words) => {
    const [, what, who, ...how] = words.split(' ');
    const lane = lanes.findIndex((lane) => lane.name === who);
    const mark = (kind, label) => lane >= 0 && lanes[lane].bands.push({ lane, kind, t0: t, t1: t, e, label });
    switch (what) {
      case 'crash': return begin(lane, 'down', t, e, 'down');
      case 'boot': end(lane, 'down', t); end(lane, 'paused', t); return mark('down', 'boot');
      case 'pause': return begin(lane, 'paused', t, e, 'paused');
      case 'resume': return end(lane, 'paused', t);
      case 'jump': return mark('clock', `clock +${how.join(' ')}`);
      case 'drift': return begin(lane, 'clock', t, e, `clock ${how.join(' ')}`);
      case 'cut': return ends(who).forEach((lane) => begin(lane, 'cut', t, e, `link cut ${how.join(' ')}`));
      case 'unplug': return ends(who).forEach((lane) => begin(lane, 'cut', t, e, 'cable pulled'));
      case 'plug': return ends(who).forEach((lane) => end(lane, 'cut', t));
      case 'join': return ends(who).forEach((lane) => end(lane, 'cut', t));
      case 'link': return ends(who).forEach((lane) => end(lane, 'worse', t) || begin(lane, 'worse', t, e, 'other link'));
    }
  };
  for (const [, t, words] of data.oldFaults) strike(t, -1, words);
  let healed = !('healed' in data);
  for (let e = 0; e < run.count; e++) {
    if (!healed && at[e] > data.healed) {
      heal();
      healed = true;
    }
    if (data.kind[e] !== KIND.fault) continue;
    strike(at[e], e, data.words[e]);
    const who = data.words[e].split(' ')[2];
    const lane = lanes.findIndex((lane) => lane.name === who);
    data.place[e] = lane >= 0 ? lane : ends(who)[0] ?? -1;
  }
  heal();
  for (const { lane, kind } of [...open.values()]) end(lane, kind, Infinity);
  for (const lane of lanes) lane.bands.sort((a, b) => a.t0 - b.t0);
}

// A frame's way through a link, once for each copy, or once when it is lost.
function arrows(run) {
  const { data, at } = run;
  for (const [e, [to, lost, ...arrivals]] of run.passages) {
    const from = data.place[e];
    const damaged = / flip \d/.test(data.words[e]);
    if (lost >= 0) run.arrows.push({ e, from, to, t0: at[e], t1: at[e], lost: data.lost[lost], half: true, damaged });
    for (let one = 0; one < arrivals.length; one += 2) {
      const t1 = at[e] + arrivals[one];
      run.arrows.push({ e, from, to, t0: at[e], t1, lost: ARRIVED[arrivals[one + 1]], half: false, damaged });
    }
  }
}

// What led to an event, first things first, and what came of it.
function chain(run, e) {
  const before = [];
  for (let from = run.cause(e); from >= 0; from = run.cause(from)) before.unshift(from);
  const after = [];
  const left = [...(run.children.get(e) || [])];
  while (left.length && after.length < 200) {
    const next = left.shift();
    after.push(next);
    left.push(...(run.children.get(next) || []));
  }
  return [before, after.sort((a, b) => a - b)];
}

// Facts first, then events. A number, or a line of a log, finds its event before all.
function find(run, text) {
  const words = text.trim().toLowerCase().replace(/\s+/g, ' ');
  if (!words) return [];
  const found = [];
  const numbered = /^(?:event )?#?(\d+)(?: \d+\.\d{6}\b.*)?$/.exec(words);
  if (numbered && run.index(Number(numbered[1])) >= 0) found.push({ e: run.index(Number(numbered[1])), fact: -1 });
  run.lowFacts ||= run.data.facts.map(([line]) => line.toLowerCase());
  run.low ||= run.data.words.map((_, e) => run.line(e).toLowerCase().replace(/\s+/g, ' '));
  // A whole fact is meant by itself: `frame c1 up 1 lose` is no part of another.
  const whole = run.lowFacts.indexOf(words);
  const fact = (number) => found.push({ e: run.index(run.data.facts[number][1]), fact: number });
  if (whole >= 0) fact(whole);
  run.lowFacts.forEach((line, number) => number !== whole && line.includes(words) && fact(number));
  run.low.forEach((line, e) => line.includes(words) && found.push({ e, fact: -1 }));
  return found;
}
