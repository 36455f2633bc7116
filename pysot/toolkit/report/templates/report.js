'use strict';
// Places of the trackers that are switched off. A trace has the place of its tracker in `meta`.
const hidden = new Set();
const drawn = new Set();

const variable = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The description of a chart with the colours of the page; black lines take the colour of its text.
function themed(figure) {
  const ink = variable('--ink'), line = variable('--line');
  const recolour = part => part && part.color === '#000000' ? { ...part, color: ink } : part;
  const axis = given => given && { ...given, gridcolor: line, zerolinecolor: line, linecolor: line };
  const data = figure.data.map(trace => {
    const shown = { ...trace, line: recolour(trace.line), visible: !hidden.has(trace.meta) };
    if (trace.marker) shown.marker = recolour(trace.marker);
    return shown;
  });
  const layout = {
    ...figure.layout, showlegend: false, hovermode: 'closest', paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)', font: { color: ink, size: 12 }, margin: { l: 56, r: 12, t: 28, b: 56 },
    hoverlabel: { namelength: -1 }, dragmode: matchMedia('(pointer: coarse)').matches ? false : 'zoom',
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: variable('--faint'), activecolor: ink },
  };
  for (const name of ['xaxis', 'yaxis', 'yaxis2']) if (layout[name]) layout[name] = axis(layout[name]);
  if (layout.polar) {
    layout.polar = { bgcolor: 'rgba(0,0,0,0)', radialaxis: axis(layout.polar.radialaxis),
      angularaxis: axis(layout.polar.angularaxis) };
    layout.margin = { l: 96, r: 96, t: 56, b: 56 };
    layout.font.size = 11;
  }
  return { data, layout };
}

const buttons = figure => figure.layout.polar ? ['toImage'] : ['toImage', 'zoom2d', 'pan2d', 'resetScale2d'];

function draw(chart) {
  const figure = themed(JSON.parse(chart.nextElementSibling.textContent));
  drawn.add(chart);
  Plotly.react(chart, figure.data, figure.layout,
    { responsive: true, displaylogo: false, modeBarButtons: [buttons(figure)] });
}

const redraw = () => drawn.forEach(draw);
const watcher = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
}, { rootMargin: '300px' });
document.querySelectorAll('.chart').forEach(chart => watcher.observe(chart));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
addEventListener('beforeprint', () => document.querySelectorAll('.chart').forEach(draw));
addEventListener('afterprint', redraw);

for (const box of document.querySelectorAll('.trackers input')) box.addEventListener('change', () => {
  const place = Number(box.value);
  if (box.checked) hidden.delete(place); else hidden.add(place);
  redraw();
  document.dispatchEvent(new Event('trackers'));
});

// Tables: sort by a head, filter by the first column, copy.
function sortBy(button) {
  const head = button.closest('th'), table = head.closest('table'), column = head.cellIndex, body = table.tBodies[0];
  const up = head.getAttribute('aria-sort') === 'descending' || (!head.hasAttribute('aria-sort') && column === 0);
  for (const other of table.querySelectorAll('th[aria-sort]')) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const sign = up ? 1 : -1;
  const keys = new Map([...body.rows].map(row => {
    const cell = row.cells[column];
    return [row, cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value)];
  }));
  const compare = (x, y) => {
    if (typeof x === 'string' || typeof y === 'string')
      return String(x).localeCompare(String(y), undefined, { numeric: true }) * sign;
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y); // what has no value is last
    return (x - y) * sign;
  };
  body.append(...[...body.rows].sort((a, b) => compare(keys.get(a), keys.get(b))));
}
for (const button of document.querySelectorAll('th button')) button.addEventListener('click', () => sortBy(button));

for (const field of document.querySelectorAll('.table input[type=search]')) field.addEventListener('input', () => {
  const wanted = field.value.toLowerCase();
  for (const row of field.closest('.table').querySelector('tbody').rows)
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
});

const escapes = { '\\': '\\textbackslash{}', '~': '\\textasciitilde{}', '^': '\\textasciicircum{}' };
const latex = text => text.replace(/[\\{}~^&%$#_]/g, sign => escapes[sign] || '\\' + sign);
// A spreadsheet would take a text that begins so for a formula.
const safe = text => /^([=+@\t\r]|-(?![\d.]*$))/.test(text) ? "'" + text : text;
const quoted = text => /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;

function written(table, format) {
  const rows = [...table.rows].filter(row => !row.hidden)
    .map(row => [...row.cells].map(cell => cell.textContent.trim()));
  if (format === 'csv') return rows.map(row => row.map(cell => quoted(safe(cell))).join(',')).join('\n') + '\n';
  const lines = rows.map(row => row.map(latex).join(' & ') + ' \\\\');
  const columns = 'l' + 'r'.repeat(rows[0].length - 1);
  return [`\\begin{tabular}{${columns}}`, '\\hline', lines[0], '\\hline', ...lines.slice(1), '\\hline',
    '\\end{tabular}', ''].join('\n');
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) throw new Error('refused');
  }
}
for (const button of document.querySelectorAll('[data-copy]')) button.addEventListener('click', async () => {
  const tools = button.closest('.tools'), table = button.closest('.table').querySelector('table');
  const status = tools.querySelector('[role=status]');
  try {
    await copy(written(table, button.dataset.copy));
    status.textContent = 'copied';
  } catch {
    status.textContent = 'the browser did not allow copying';
  }
});

// Players: frames with outlines; the slider, the button and the arrow keys choose the frame.
function makePlayer(player) {
  const values = JSON.parse(player.querySelector('script').textContent);
  const image = player.querySelector('img'), layer = player.querySelector('svg'), note = player.querySelector('p');
  const slider = player.querySelector('input'), button = player.querySelector('button');
  const shown = player.querySelector('output');
  let timer = 0;
  layer.setAttribute('viewBox', `0 0 ${values.size[0]} ${values.size[1]}`);
  const outline = () => {
    const index = Number(slider.value), width = Math.max(1.5, values.size[0] / 250);
    layer.replaceChildren();
    if (image.hidden) return;
    for (const { place, colour, outlines } of values.outlines) {
      for (const points of hidden.has(place) ? [] : outlines[index]) {
        const shape = document.createElementNS('http://www.w3.org/2000/svg', 'polygon');
        shape.setAttribute('points', points.join(' '));
        shape.setAttribute('fill', 'none');
        shape.setAttribute('stroke', colour);
        shape.setAttribute('stroke-width', place < 0 ? width * 1.6 : width);
        layer.append(shape);
      }
    }
  };
  const missing = () => {
    image.hidden = true;
    note.hidden = false;
    note.textContent = `Frame ${values.numbers[Number(slider.value)]} is missing or damaged.`;
    layer.replaceChildren();
  };
  const show = () => {
    const index = Number(slider.value), number = values.numbers[index];
    shown.textContent = number;
    image.alt = `frame ${number}`;
    slider.setAttribute('aria-valuetext', `frame ${number}`);
    if (values.frames[index]) image.src = values.frames[index];
    else missing();
  };
  image.addEventListener('load', () => { note.hidden = true; image.hidden = false; outline(); });
  image.addEventListener('error', missing);
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'play'; };
  const step = by => { slider.value = Number(slider.value) + by; show(); };
  slider.addEventListener('input', show);
  button.addEventListener('click', () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    button.textContent = 'pause';
    timer = setInterval(() => slider.value === slider.max ? stop() : step(1), 80);
  });
  player.addEventListener('keydown', event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.target !== slider) { step(by); event.preventDefault(); }
  });
  document.addEventListener('trackers', outline);
  return show;
}
const starts = new Map([...document.querySelectorAll('.player')].map(player => [player, makePlayer(player)]));
const opener = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) { opener.unobserve(entry.target); starts.get(entry.target)(); }
});
starts.forEach((_, player) => opener.observe(player));

// A link into a closed part opens it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const box = target.closest('details');
  if (box) box.open = true;
  target.scrollIntoView();
}
addEventListener('hashchange', reveal);
reveal();
