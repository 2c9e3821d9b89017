// Elements made of data. Text stays text: nothing here reads HTML.

/** An element: attributes by name (`class`, `aria-label`; `on` + event: a listener; false or null: none), then children. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Change an element's text only where it differs: no flicker, no lost selection. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Make `child` the only child, unless one that says the same is there already. */
export function replaceWith(parent, child) {
  if (parent.children.length !== 1 || parent.textContent !== child.textContent) parent.replaceChildren(child);
}

/** Keep the children of `parent` in step with `items`: made once per key, updated after that, removed when gone. */
export function keep(parent, items, { key, make, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const id = key(item);
    let child = known.get(id);
    if (!child) {
      child = make(item);
      child.dataset.key = id;
    }
    known.delete(id);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update?.(child, item, index);
  });
  for (const gone of known.values()) gone.remove();
  for (const stray of [...parent.children].filter((child) => !child.dataset.key)) stray.remove();
}
