// A place for an image: dropped, chosen or, for a greyscale model, drawn.

import { element } from "./element.js";
import { bytesText } from "./format.js";

const TYPES = "image/png,image/jpeg,image/webp";
const KINDS = "PNG, JPEG or WebP";
const PAD_PIXELS = 160;
const PEN_PIXELS = 18;

export function makeImage({ task_config: task }, changed) {
  let file = null;
  const picture = element("img", { alt: "The chosen image", hidden: true });
  const told = element("span", { class: "quiet" }, KINDS);
  const chooser = element("input", { type: "file", accept: TYPES, "aria-label": "Image" });
  const zone = element("label", { class: "drop" }, chooser, picture,
    element("span", {}, element("b", {}, "Choose an image"), " or drop one here"), told);
  const pad = task.mode === "greyscale" ? makePad(task, take) : null;

  function take(chosen) {
    URL.revokeObjectURL(picture.src);
    file = chosen;
    picture.hidden = !file;
    if (file) picture.src = URL.createObjectURL(file);
    told.textContent = file ? `${file.name}, ${bytesText(file.size)}` : KINDS;
    changed();
  }

  chooser.addEventListener("change", () => chooser.files.length && take(chooser.files[0]));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    });
  }
  zone.addEventListener("drop", (event) => event.dataTransfer.files.length && take(event.dataTransfer.files[0]));
  return {
    node: element("div", { class: "image" }, zone, pad),
    request: () => file && { body: file, type: file.type, file: file.name },
    missing: () => `There is no image yet: choose one${pad ? ", drop one or draw one" : " or drop one"} first.`,
  };
}

/** A small board to draw on; what is drawn becomes a PNG, and nothing when it is wiped. The ink is as in the images that the model was trained on. */
function makePad(task, drawn) {
  const [paper, ink] = task.mean[0] < 0.5 ? ["#000", "#fff"] : ["#fff", "#000"];
  const board = element("canvas", { width: PAD_PIXELS, height: PAD_PIXELS, "aria-label": "Draw with a pointer" });
  const context = board.getContext("2d");
  const clear = () => {
    context.fillStyle = paper;
    context.fillRect(0, 0, PAD_PIXELS, PAD_PIXELS);
  };
  const place = ({ offsetX, offsetY }) => [(offsetX * PAD_PIXELS) / board.clientWidth, (offsetY * PAD_PIXELS) / board.clientHeight];
  Object.assign(context, { strokeStyle: ink, lineWidth: PEN_PIXELS, lineCap: "round", lineJoin: "round" });
  board.addEventListener("pointerdown", (event) => {
    board.setPointerCapture(event.pointerId);
    context.beginPath();
    context.moveTo(...place(event));
  });
  board.addEventListener("pointermove", (event) => {
    if (!board.hasPointerCapture(event.pointerId)) return;
    context.lineTo(...place(event));
    context.stroke();
  });
  board.addEventListener("pointerup", () =>
    board.toBlob((blob) => drawn(new File([blob], "drawing.png", { type: "image/png" })), "image/png"));
  clear();
  return element("div", { class: "pad" }, board,
    element("p", { class: "actions" }, element("span", { class: "quiet" }, "or draw one"),
      element("button", { type: "button", class: "plain", onclick: () => { clear(); drawn(null); } }, "Clear")));
}
