// The picture on its canvas. A view is where one looks: the position at the left edge,
// how many pixels one unit takes, and how far down.

const GUTTER = 128;
const AXIS = 24;
const ROW = 14;
const HEAD = 22;

function painter(run, canvas) {
  const pen = canvas.getContext('2d');
  const view = { left: 0, scale: 1, down: 0, order: false };
  let width = 0;
  let height = 0;
  let colour = {};
  const x = new Float64Array(run.count); // of each event
  let last = 1;

  // Events of one microsecond are drawn in their order within it.
  function place() {
    for (let e = 0; e < run.count; ) {
      let end = e;
      while (end < run.count && run.at[end] === run.at[e]) end++;
      for (let i = e; i < end; i++) x[i] = view.order ? i : run.at[e] - run.start + (0.9 * (i - e)) / (end - e);
      e = end;
    }
    last = Math.max(1, run.count ? x[run.count - 1] : 0, position(run.end));
  }

  // The first event at or after a time.
  function from(time) {
    let [low, high] = [0, run.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (run.at[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Where a time is; what lasts to the end has an infinite one.
  function position(time) {
    if (time === Infinity) return view.order ? run.count : last;
    if (!view.order) return time - run.start;
    const e = from(time);
    if (e >= run.count) return run.count;
    if (e === 0 || run.at[e] === time) return e;
    const part = (time - run.at[e - 1]) / (run.at[e] - run.at[e - 1]);
    return e - 1 + part;
  }

  const screen = (where) => GUTTER + (where - view.left) * view.scale;
  const where = (pixel) => view.left + (pixel - GUTTER) / view.scale;
  const clip = (pixel) => Math.max(-50, Math.min(width + 50, pixel));
  const eventX = (e) => screen(x[e]);
  // An end of a bar or an arrow: at its event, or at its time.
  const edge = (e, time) => (e >= 0 && run.at[e] === time ? eventX(e) : screen(position(time)));

  function layout() {
    let y = AXIS + 6;
    for (const lane of run.lanes) {
      lane.y = y;
      lane.height = HEAD + (lane.open ? lane.rows * ROW : 0) + 6;
      y += lane.height + (lane.kind === 'host' ? 22 : 26);
    }
    return y;
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    ({ clientWidth: width, clientHeight: height } = canvas);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    theme();
  }

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const names = ['paper', 'lane', 'other', 'ink', 'soft', 'line', 'accent', 'chosen', 'frame', 'damaged', 'lost',
      ...WAITS.filter((wait) => wait !== 'other'), 'other-wait', 'down', 'paused', 'cut', 'worse', 'clock'];
    colour = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  const kindColour = (kind) => colour[kind === 'other' ? 'other-wait' : kind];
  const laneY = (lane) => run.lanes[lane].y + 11 - view.down;

  function text(words, left, y, most, fill, font = '11px system-ui, sans-serif') {
    pen.font = font;
    pen.fillStyle = fill;
    let shown = words;
    if (pen.measureText(shown).width > most) {
      const each = pen.measureText('n').width;
      shown = `${shown.slice(0, Math.max(0, Math.floor(most / each) - 1))}…`;
      if (shown.length < 3) return;
    }
    pen.fillText(shown, left, y);
  }

  function axis() {
    pen.fillStyle = colour.paper;
    pen.fillRect(0, 0, width, AXIS);
    pen.strokeStyle = colour.line;
    pen.beginPath();
    const least = 110 / view.scale;
    let step = 10 ** Math.floor(Math.log10(least));
    for (const more of [1, 2, 5, 10]) if (step * more >= least) { step *= more; break; }
    step = Math.max(step, 1);
    const first = Math.ceil(where(GUTTER) / step) * step;
    const base = view.order ? 0 : run.start;
    // Steps from the run's beginning, not from the first event that is kept.
    const offset = view.order ? 0 : Math.ceil(base / step) * step - base;
    for (let at = first - step + offset; at < where(width); at += step) {
      const px = screen(at);
      if (px < GUTTER) continue;
      pen.moveTo(px + 0.5, AXIS - 5);
      pen.lineTo(px + 0.5, height);
      const label = view.order ? `event ${run.first + Math.round(at)}` : tick(base + at, step);
      text(label, px + 3, AXIS - 9, 130, colour.soft);
    }
    pen.globalAlpha = 0.5;
    pen.stroke();
    pen.globalAlpha = 1;
  }

  function tick(micros, step) {
    const digits = Math.max(0, Math.min(6, Math.ceil(6 - Math.log10(step) - 1e-9)));
    return `${(micros / 1e6).toFixed(digits)} s`;
  }

  function backgrounds() {
    for (const lane of run.lanes) {
      const y = lane.y - view.down;
      pen.fillStyle = lane.kind === 'host' ? colour.lane : colour.other;
      pen.fillRect(0, y, width, lane.height);
      pen.fillStyle = colour.line;
      pen.fillRect(GUTTER, y + 11, width, 1);
    }
  }

  function faults(lane) {
    const y = lane.y - view.down;
    let free = GUTTER;
    for (const band of lane.bands) {
      const [a, b] = [clip(edge(band.e, band.t0)), clip(screen(position(band.t1)))];
      if (b < GUTTER || a > width) continue;
      const left = Math.max(a, GUTTER);
      pen.fillStyle = colour[band.kind];
      pen.fillRect(left, y, Math.max(b - left, 2), lane.height);
      const label = band.label;
      pen.font = 'italic 11px system-ui, sans-serif';
      const size = pen.measureText(label).width;
      // A label that finds no room is left out; the band's tip says it.
      if (left >= free && (b - left > size + 6 || band.t0 === band.t1)) {
        pen.fillStyle = colour.ink;
        pen.fillText(label, left + 4, y + lane.height + 11);
        free = left + size + 12;
      }
    }
  }

  function bars(lane) {
    if (!lane.open) return;
    const top = lane.y - view.down + HEAD;
    const drawn = [];
    for (const bar of lane.bars) {
      const b = edge(bar.e1, bar.t1);
      if (b < GUTTER) continue;
      const a = edge(bar.e0, bar.t0);
      if (a > width) continue;
      const left = Math.max(a, GUTTER);
      const right = Math.max(Math.min(b, width), left + 1);
      if (right <= (drawn[bar.row] || 0)) continue; // covered to the pixel
      drawn[bar.row] = right;
      const y = top + bar.row * ROW;
      pen.fillStyle = kindColour(bar.kind);
      pen.fillRect(left, y, right - left - (right - left > 3 ? 1 : 0), ROW - 2);
      if (right - left > 34) text(`${bar.label}  ${bar.name}`, left + 4, y + 9.5, right - left - 8, ink(bar.kind));
    }
  }

  // Black on what is light, white on what is dark.
  function ink(kind) {
    const [r, g, b] = (kindColour(kind).match(/[0-9a-f]{2}/gi) || ['ff', 'ff', 'ff']).map((hex) => parseInt(hex, 16));
    return 0.299 * r + 0.587 * g + 0.114 * b > 135 ? '#10151a' : '#ffffff';
  }

  function ends(arrow) {
    const [y0, y1] = [laneY(arrow.from), laneY(arrow.to)];
    const x0 = eventX(arrow.e);
    if (arrow.half) return [x0, y0, x0 + 9, y0 + (y1 - y0) * 0.5];
    return [x0, y0, screen(position(arrow.t1)), y1];
  }

  // Many frames are drawn behind the tasks, few before them.
  const MANY = 600;

  function sorted(marked) {
    const groups = { frame: [], damaged: [], lost: [], chosen: [] };
    let shown = 0;
    for (const arrow of run.arrows) {
      if (arrow.from < 0 || arrow.to < 0) continue;
      const [x0, y0, x1, y1] = ends(arrow);
      if (x1 < GUTTER || x0 > width) continue;
      shown++;
      const kind = marked.has(arrow.e) ? 'chosen' : arrow.lost ? 'lost' : arrow.damaged ? 'damaged' : 'frame';
      groups[kind].push([clip(x0), y0, clip(x1), y1, arrow]);
    }
    return { groups, shown };
  }

  // So that many do not hide what is behind them.
  function faint(kind, many) {
    if (kind === 'chosen' || many <= MANY) return 0.9;
    return Math.max(kind === 'lost' ? 0.3 : 0.12, 0.75 - many / 8000);
  }

  function frames({ groups, shown }, kinds) {
    for (const kind of kinds) {
      const lines = groups[kind];
      pen.strokeStyle = pen.fillStyle = colour[kind];
      pen.lineWidth = kind === 'chosen' ? 2.5 : kind === 'frame' ? 1 : 1.5;
      pen.globalAlpha = faint(kind, kind === 'lost' ? lines.length * 4 : shown);
      pen.setLineDash(kind === 'damaged' ? [5, 3] : []);
      pen.beginPath();
      for (const [x0, y0, x1, y1] of lines) {
        pen.moveTo(x0, y0);
        pen.lineTo(x1, y1);
      }
      pen.stroke();
      pen.setLineDash([]);
      if (shown < 1500) for (const line of lines) tip(line);
      else for (const line of lines) if (line[4].lost) tip(line);
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
  }

  // Why frames are lost, where there is room.
  function reasons({ groups, shown }) {
    const free = [];
    for (const [, , x1, y1, arrow] of [...groups.chosen, ...groups.lost]) {
      if (!arrow.lost || shown > 400 || x1 < GUTTER) continue;
      pen.font = '11px system-ui, sans-serif';
      const right = x1 + 10 + pen.measureText(arrow.lost).width;
      const taken = free.some(([l, r, y]) => Math.abs(y - y1) < 12 && x1 < r && right > l);
      if (taken) continue;
      pen.strokeStyle = colour.paper;
      pen.lineWidth = 3;
      pen.strokeText(arrow.lost, x1 + 7, y1 + 4);
      pen.fillStyle = colour.lost;
      pen.fillText(arrow.lost, x1 + 7, y1 + 4);
      pen.lineWidth = 1;
      free.push([x1, right, y1]);
    }
  }

  // An arrow's head, or a cross.
  function tip([x0, y0, x1, y1, arrow]) {
    pen.beginPath();
    if (arrow.lost) {
      for (const way of [-1, 1]) {
        pen.moveTo(x1 - 4, y1 - 4 * way);
        pen.lineTo(x1 + 4, y1 + 4 * way);
      }
      return pen.stroke();
    }
    const angle = Math.atan2(y1 - y0, x1 - x0);
    pen.moveTo(x1, y1);
    for (const turn of [-0.4, 0.4]) pen.lineTo(x1 - 7 * Math.cos(angle + turn), y1 - 7 * Math.sin(angle + turn));
    pen.fill();
  }

  function marks(lane) {
    const y = lane.y - view.down + 11;
    let before = -9;
    pen.fillStyle = colour.soft;
    for (const e of lane.events) {
      const px = eventX(e);
      if (px < GUTTER || px > width || px - before < 1.5) continue;
      before = px;
      pen.fillRect(px - 0.75, y - 3, 1.5, 7);
    }
  }

  function gutter() {
    pen.fillStyle = colour.paper;
    pen.fillRect(0, AXIS, GUTTER, height);
    for (const lane of run.lanes) {
      const y = lane.y - view.down;
      pen.fillStyle = lane.kind === 'host' ? colour.lane : colour.other;
      pen.fillRect(0, y, GUTTER, lane.height);
      const fold = lane.rows ? (lane.open ? '▾ ' : '▸ ') : '';
      text(fold + lane.name, 8, y + 15, GUTTER - 14, colour.ink, '600 12px system-ui, sans-serif');
      if (lane.kind !== 'host') text(lane.kind, 8 + pen.measureText(`${lane.name}  `).width, y + 15, 60, colour.soft);
      if (!lane.open) continue;
      for (let row = 0; row < lane.rows; row++) text(`task ${row}`, 20, y + HEAD + row * ROW + 9.5, GUTTER - 26, colour.soft);
    }
    pen.fillStyle = colour.line;
    pen.fillRect(GUTTER - 1, AXIS, 1, height);
    pen.fillStyle = colour.paper;
    pen.fillRect(0, 0, GUTTER, AXIS);
    text(view.order ? 'one after the other' : "the world's time", 8, AXIS - 9, GUTTER - 10, colour.soft);
  }

  // Behind the event that came last before it was seen.
  function violated() {
    const { at, event } = run.data.violation;
    const before = run.index(event - 1);
    return view.order && before >= 0 ? before + 1 : position(at);
  }

  function moment(px, fill, label) {
    if (px < GUTTER || px > width) return;
    pen.fillStyle = fill;
    pen.fillRect(px - 0.5, AXIS, 1.5, height);
    if (!label) return;
    pen.font = '11px system-ui, sans-serif';
    const size = pen.measureText(label).width;
    text(label, px + size + 8 > width ? px - size - 4 : px + 4, height - 6, 200, fill);
  }

  function draw(chosen, marked, flash) {
    layout();
    pen.fillStyle = colour.paper;
    pen.fillRect(0, 0, width, height);
    backgrounds();
    for (const lane of run.lanes) faults(lane);
    const seen = sorted(marked);
    if (seen.shown > MANY) frames(seen, ['frame', 'damaged']);
    for (const lane of run.lanes) bars(lane);
    for (const lane of run.lanes) marks(lane);
    if ('healed' in run.data) moment(screen(position(run.data.healed)), colour.write, 'all faults end');
    if (run.data.violation) moment(screen(violated()), colour.lost, 'violated');
    frames(seen, seen.shown > MANY ? ['lost', 'chosen'] : ['frame', 'damaged', 'lost', 'chosen']);
    reasons(seen);
    if (flash >= 0) {
      pen.strokeStyle = colour.accent;
      pen.lineWidth = 3;
      pen.strokeRect(1, run.lanes[flash].y - view.down - 1, width - 2, run.lanes[flash].height + 2);
      pen.lineWidth = 1;
    }
    axis();
    if (chosen >= 0) {
      moment(eventX(chosen), colour.chosen, '');
      const lane = run.data.place[chosen];
      if (lane >= 0) {
        pen.beginPath();
        pen.arc(eventX(chosen), laneY(lane), 5, 0, 7);
        pen.fillStyle = colour.chosen;
        pen.fill();
      }
    }
    gutter();
  }

  // What is under the pointer: an event, or -1; and its words.
  function under(px, py) {
    let best = { e: -1, words: '', far: 8 };
    const better = (far, e, words) => far < best.far && (best = { e, words, far });
    const lane = run.lanes.find((lane) => py >= lane.y - view.down && py < lane.y - view.down + lane.height);
    if (px < GUTTER) return { ...best, lane };
    for (const arrow of run.arrows) {
      if (arrow.from < 0 || arrow.to < 0) continue;
      const [x0, y0, x1, y1] = ends(arrow);
      if (x1 < px - 9 || x0 > px + 9) continue;
      const along = Math.max(0, Math.min(1, ((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2 || 1)));
      const far = Math.hypot(px - x0 - along * (x1 - x0), py - y0 - along * (y1 - y0)) + 1;
      better(far, arrow.e, arrow.lost ? `${run.line(arrow.e)}: ${arrow.lost}` : run.line(arrow.e));
    }
    if (!lane) return best;
    const y = lane.y - view.down;
    if (py < y + HEAD) for (const e of lane.events) better(Math.abs(eventX(e) - px), e, run.line(e));
    const row = Math.floor((py - y - HEAD) / ROW);
    for (const bar of lane.open && row >= 0 ? lane.bars : []) {
      if (bar.row !== row || edge(bar.e0, bar.t0) > px + 2 || edge(bar.e1, bar.t1) < px - 2) continue;
      const long = bar.t1 === Infinity ? 'to the end' : `${((bar.t1 - bar.t0) / 1000).toFixed(3)} ms`;
      better(4, bar.e0 >= 0 ? bar.e0 : bar.e1, `task ${bar.row} ${bar.name}: ${bar.label}, ${long}`);
    }
    for (const band of lane.bands) {
      if (edge(band.e, band.t0) > px + 2 || screen(position(band.t1)) < px - 2) continue;
      better(7, band.e, `${lane.name}: ${band.label}`);
    }
    return best;
  }

  return {
    view, draw, resize, theme, place, layout, under, where, position, colours: () => colour,
    x: (e) => x[e], last: () => last, room: () => width - GUTTER, height: () => height, gutter: GUTTER,
  };
}
