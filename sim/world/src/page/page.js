// What a person does with the page: looks, searches, chooses.

const $ = (id) => document.getElementById(id);

function element(name, words, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  if (words !== undefined) made.textContent = words;
  return made;
}

function show(run) {
  const canvas = $('canvas');
  const picture = painter(run, canvas);
  const { view } = picture;
  let chosen = -1;
  let marked = new Set();
  let flash = -1;
  let matches = [];
  let match = -1;
  let due = false;

  function paint() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      picture.draw(chosen, marked, flash);
    });
  }

  // Looking.

  function clamp() {
    const span = picture.room() / view.scale;
    const least = picture.room() / (picture.last() * 1.2 + 1);
    const most = view.order ? 120 : picture.room() / 2;
    view.scale = Math.max(least, Math.min(most, view.scale));
    view.left = Math.max(-span * 0.5, Math.min(picture.last() - span * 0.5, view.left));
    view.down = Math.max(0, Math.min(picture.layout() - picture.height() * 0.5, view.down));
  }

  function zoom(by, pixel = picture.gutter + picture.room() / 2) {
    const at = picture.where(pixel);
    view.scale *= by;
    clamp();
    view.left = at - (pixel - picture.gutter) / view.scale;
    clamp();
    paint();
  }

  // Towards the event that is chosen, if one can see it.
  function zoomByKey(by) {
    const pixel = chosen < 0 ? NaN : picture.gutter + (picture.x(chosen) - view.left) * view.scale;
    const seen = pixel >= picture.gutter && pixel <= picture.gutter + picture.room();
    zoom(by, seen ? pixel : undefined);
  }

  function move(x, y) {
    view.left += x / view.scale;
    view.down += y;
    clamp();
    paint();
  }

  function fit() {
    view.scale = picture.room() / (picture.last() * 1.04);
    view.left = -picture.last() * 0.02;
    view.down = 0;
    clamp();
    paint();
  }

  function look(at, span) {
    const room = picture.room();
    if (span) view.scale = room / span;
    clamp();
    const left = (at - view.left) * view.scale;
    if (span || left < room * 0.08 || left > room * 0.92) view.left = at - room / 2 / view.scale;
    clamp();
    paint();
  }

  // So close that a few events around are apart.
  function close(e) {
    const [a, b] = [Math.max(0, e - 12), Math.min(run.count - 1, e + 12)];
    look(picture.x(e), Math.max(2 * Math.max(picture.x(e) - picture.x(a), picture.x(b) - picture.x(e)), 4));
  }

  function lookDown(lane) {
    picture.layout();
    const { y, height } = run.lanes[lane];
    if (y - view.down < 30 || y + height - view.down > picture.height()) view.down = Math.max(0, y - picture.height() / 3);
  }

  function order() {
    const middle = picture.where(picture.gutter + picture.room() / 2);
    view.order = !view.order;
    $('axis').setAttribute('aria-pressed', view.order);
    picture.place();
    fit();
    if (chosen >= 0) close(chosen);
    else look(Math.min(middle, picture.last()));
  }

  // Choosing.

  function choose(e, far) {
    chosen = e;
    flash = -1;
    marked = new Set();
    if (e >= 0) {
      const [before, after] = chain(run, e);
      marked = new Set([...before, e, ...after].filter((one) => run.passages.has(one)));
      const lane = run.data.place[e];
      if (lane >= 0) lookDown(lane);
      if (far) look(picture.x(e));
      history.replaceState(null, '', `#event=${run.number(e)}`);
    }
    detail();
    paint();
  }

  function step(by) {
    if (!run.count) return;
    choose(chosen < 0 ? (by > 0 ? 0 : run.count - 1) : Math.max(0, Math.min(run.count - 1, chosen + by)), true);
  }

  function lines(events) {
    const list = element('ol', undefined, { className: 'lines' });
    for (const e of events) {
      const button = element('button', run.line(e), { type: 'button', title: run.line(e) });
      if (isLost(e)) button.classList.add('lost');
      if (e === chosen) button.setAttribute('aria-current', 'true');
      button.onclick = () => choose(e, true);
      const item = element('li');
      item.append(button);
      list.append(item);
    }
    return list;
  }

  function isLost(e) {
    const passage = run.passages.get(e);
    return passage !== undefined && (passage[1] >= 0 || passage.some((how, at) => at > 2 && at % 2 === 1 && how > 0));
  }

  function what(e) {
    const { data } = run;
    const passage = run.passages.get(e);
    if (!passage) return [];
    const [to, lost, ...arrivals] = passage;
    const name = to >= 0 ? run.lanes[to].name : 'the other end';
    const told = lost >= 0 ? [`It never comes to ${name}: ${data.lost[lost]}.`] : [];
    for (let one = 0; one < arrivals.length; one += 2) {
      const when = seconds(run.at[e] + arrivals[one]);
      const how = ARRIVED[arrivals[one + 1]];
      told.push(how ? `It comes to ${name} at ${when} s and is lost: ${how}.` : `It comes to ${name} at ${when} s.`);
    }
    if (!told.length) told.push('It was still on its way at the end.');
    return told;
  }

  function detail() {
    const box = $('chosen');
    box.replaceChildren();
    if (chosen < 0) {
      box.append(element('p', 'Click an event, or press n. Search finds every fact of the plan, and events by number or words.', { className: 'hint' }));
      return;
    }
    const { data } = run;
    const e = chosen;
    box.append(element('h2', `Event ${run.number(e)}`));
    box.append(element('p', `${seconds(run.at[e])} s, the world's time`));
    const words = element('p');
    words.append(element('code', data.words[e]));
    box.append(words, ...what(e).map((told) => element('p', told)));
    const [before, after] = chain(run, e);
    const own = run.factsOf.get(e) || [];
    const facts = own.length ? own : [...before, ...after].flatMap((one) => run.factsOf.get(one) || []);
    if (facts.length) {
      box.append(element('h3', own.length ? 'The plan\'s fact' : 'Facts of the plan on its way'));
      for (const fact of facts.slice(0, 20)) {
        const line = element('p');
        line.append(element('code', data.facts[fact][0]));
        box.append(line);
      }
    }
    if (before.length) box.append(element('h3', 'What led to it'), lines(before));
    if (after.length) box.append(element('h3', 'What came of it'), lines(after.slice(0, 40)));
    const frame = data.frames[data.frame[e]];
    if (frame) {
      const [length, hex] = frame;
      const shown = hex.length / 2;
      box.append(element('h3', shown < length ? `The first ${shown} of the frame\'s ${length} bytes` : `The frame\'s ${length} bytes`));
      box.append(element('pre', dump(hex)));
    }
    box.append(element('h3', 'Around it'));
    const around = [];
    for (let one = Math.max(0, e - 9); one <= Math.min(run.count - 1, e + 9); one++) around.push(one);
    box.append(lines(around));
  }

  function dump(hex) {
    const rows = [];
    for (let at = 0; at < hex.length; at += 32) {
      const bytes = hex.slice(at, at + 32).match(/../g);
      const text = bytes.map((byte) => parseInt(byte, 16)).map((code) => (code > 31 && code < 127 ? String.fromCharCode(code) : '.'));
      rows.push(`${(at / 2).toString(16).padStart(4, '0')}  ${bytes.join(' ').padEnd(47)}  ${text.join('')}`);
    }
    return rows.join('\n');
  }

  // Searching.

  function search() {
    matches = find(run, $('words').value);
    match = -1;
    list();
    if (matches.length) go(1);
    else $('found').textContent = $('words').value.trim() ? 'nothing' : '';
  }

  function go(by) {
    if (!matches.length) return;
    match = (match + by + matches.length) % matches.length;
    const { e, fact } = matches[match];
    $('found').textContent = `${match + 1} of ${matches.length}`;
    [...$('matches').querySelectorAll('button')].forEach((button, at) => {
      if (at === match) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    });
    if (e >= 0) return choose(e, true);
    choose(-1);
    const [line, , lane] = run.data.facts[fact];
    const told = element('p');
    told.append(element('code', line));
    $('chosen').replaceChildren(element('h2', 'A fact of the plan'), told, element('p', reach(line, lane)));
  }

  // Goes to a fact that is no event here, and says why it is none.
  function reach(line, lane) {
    if (lane >= 0) {
      flash = lane;
      lookDown(lane);
      paint();
      return 'It is this lane, from beginning to end.';
    }
    const time = /^at (\d+)(s|ms|us) /.exec(line);
    if (time) {
      const at = Number(time[1]) * { s: 1e6, ms: 1e3, us: 1 }[time[2]];
      if (at > run.end) return 'The run ended before.';
      look(picture.position(Math.max(at, run.start)));
      return at < run.start ? 'It happened before the first event that this page has.' : 'It struck nothing.';
    }
    if (line.startsWith('frame ')) return run.data.first > 0 ? 'Its frame is not among the events that this page has.' : 'Its frame was never sent.';
    return 'It holds for the whole run.';
  }

  function list() {
    const box = $('matches');
    box.className = 'lines';
    box.replaceChildren(...matches.slice(0, 100).map(({ e, fact }, at) => {
      const line = fact >= 0 ? `fact: ${run.data.facts[fact][0]}` : run.line(e);
      const button = element('button', line, { type: 'button', title: line });
      button.onclick = () => {
        match = at - 1;
        go(1);
      };
      const item = element('li');
      item.append(button);
      return item;
    }));
    if (matches.length > 100) box.append(element('li', `and ${matches.length - 100} more; Enter goes on`));
  }

  // Hands.

  function pointer() {
    let drag = null;
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      drag = { x: event.offsetX, y: event.offsetY, moved: false };
    };
    canvas.onpointermove = (event) => {
      const tip = $('tip');
      if (drag) {
        const [x, y] = [drag.x - event.offsetX, drag.y - event.offsetY];
        if (!drag.moved && Math.hypot(x, y) < 4) return;
        tip.hidden = true;
        drag = { x: event.offsetX, y: event.offsetY, moved: true };
        return move(x, y);
      }
      const { e, words } = picture.under(event.offsetX, event.offsetY);
      tip.hidden = !words;
      if (!words) return;
      tip.textContent = e >= 0 && !/^\d/.test(words) ? `${words} (event ${run.number(e)})` : words;
      tip.style.left = `${Math.min(event.offsetX + 14, canvas.clientWidth - 240)}px`;
      tip.style.top = `${event.offsetY + 16}px`;
    };
    canvas.onpointerup = (event) => {
      if (drag && !drag.moved) {
        const { e, lane } = picture.under(event.offsetX, event.offsetY);
        if (lane && event.offsetX < picture.gutter) {
          lane.open = !lane.open;
          paint();
        } else if (e >= 0) choose(e);
      }
      drag = null;
    };
    canvas.onpointercancel = () => (drag = null);
    canvas.onpointerleave = () => ($('tip').hidden = true);
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return move((event.deltaX || event.deltaY) * lines, 0);
      zoom(Math.exp(-event.deltaY * lines * 0.002), event.offsetX);
    }, { passive: false });
  }

  function help() {
    $('help').hidden = !$('help').hidden;
    $('keys').setAttribute('aria-expanded', !$('help').hidden);
    resized();
  }

  function wrong() {
    const { violation } = run.data;
    if (!violation) return;
    const e = Math.min(run.index(violation.event) >= 0 ? run.index(violation.event) : run.count - 1, run.count - 1);
    choose(e, true);
    close(e);
  }

  const keys = {
    '+': () => zoomByKey(1.5), '=': () => zoomByKey(1.5), '-': () => zoomByKey(1 / 1.5),
    ArrowLeft: () => move(-80, 0), ArrowRight: () => move(80, 0), ArrowUp: () => move(0, -40), ArrowDown: () => move(0, 40),
    n: () => step(1), p: () => step(-1), f: fit, o: order, v: wrong, z: () => chosen >= 0 && close(chosen),
    '/': () => $('words').select(), '?': help, Escape: () => choose(-1),
  };

  function hands() {
    pointer();
    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target === $('words')) {
        if (event.key === 'Enter') {
          event.preventDefault();
          go(event.shiftKey ? -1 : 1);
        } else if (event.key === 'Escape') canvas.focus();
        return;
      }
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    $('words').oninput = search;
    $('search').onsubmit = (event) => {
      event.preventDefault();
      go(1);
    };
    $('previous').onclick = () => go(-1);
    $('zoom-in').onclick = () => zoomByKey(2);
    $('zoom-out').onclick = () => zoomByKey(0.5);
    $('fit').onclick = fit;
    $('axis').onclick = order;
    $('keys').onclick = help;
    new ResizeObserver(resized).observe($('stage'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      picture.theme();
      paint();
    });
    addEventListener('hashchange', linked);
  }

  // At once: a canvas of another size is empty.
  function resized() {
    picture.resize();
    clamp();
    picture.draw(chosen, marked, flash);
  }

  // run.html#event=238
  function linked() {
    const number = /^#event=(\d+)$/.exec(location.hash);
    const e = number ? run.index(Number(number[1])) : -1;
    if (e < 0) return false;
    choose(e);
    close(e);
    return true;
  }

  function told() {
    const { data } = run;
    const counted = new Intl.NumberFormat('en');
    const hosts = run.lanes.filter((lane) => lane.kind === 'host').length;
    $('facts-of-run').textContent = `${hosts} hosts, ${counted.format(data.events)} events, ${counted.format(data.facts.length)} lines of plan`;
    const cut = [];
    if (run.count < data.events) {
      const range = run.count ? `events ${data.first} to ${data.first + run.count - 1}` : 'none';
      cut.push(`This page was cut: of ${data.events} events it has ${range}. The option --page-events A..B of sim world and sim replay chooses others.`);
    }
    if (data.factsLeft) cut.push(`Of the plan it lacks the last ${data.factsLeft} facts.`);
    $('cut').textContent = cut.join(' ');
    $('cut').hidden = !cut.length;
    const { violation } = data;
    if (violation) {
      const at = violation.lane >= 0 ? `host ${run.lanes[violation.lane].name}, ` : '';
      const button = element('button', `event ${violation.event}`, { type: 'button' });
      button.onclick = wrong;
      $('violation').replaceChildren(element('b', 'Violated: '), `${violation.words.trimEnd()} (${at}${seconds(violation.at)} s, `, button, ')');
      $('violation').hidden = false;
    }
  }

  function legend() {
    const box = $('legend');
    const entry = (style, words, arrow) => {
      const line = element('div');
      const sign = element('i', undefined, { className: arrow ? 'arrow' : '' });
      sign.setAttribute('style', style);
      line.append(sign, words);
      box.append(line);
    };
    for (const wait of WAITS) {
      const words = wait === 'ready' ? 'a task is ready and waits for its turn' : `a task waits: ${wait}`;
      entry(`background: var(--${wait === 'other' ? 'other-wait' : wait})`, words);
    }
    entry('border-color: var(--frame)', 'a frame', true);
    entry('border-color: var(--damaged); border-top-style: dashed', 'a frame with a flipped bit', true);
    entry('border-color: var(--lost)', 'a frame that is lost, and why', true);
    for (const [band, words] of [['down', 'a host is down'], ['paused', 'a host stands still'], ['cut', 'its link is cut'], ['worse', 'its link is another'], ['clock', 'its clock is wrong']]) {
      entry(`background: var(--${band})`, words);
    }
  }

  told();
  legend();
  picture.resize();
  picture.place();
  hands();
  detail();
  fit();
  linked();
}

addEventListener('load', async () => {
  try {
    show(model(await unpack($('data').textContent)));
    document.documentElement.dataset.ready = 'true';
  } catch (error) {
    $('violation').textContent = `The page cannot be drawn: ${error}. It needs a browser with DecompressionStream: Chrome 80, Firefox 113, Safari 16.4, or later.`;
    $('violation').hidden = false;
  }
});
