"use strict";
// Adds the slider, the tabs and the zoom. Reads pictures and names from the page's own elements, never from text.
(() => {
  const labels = JSON.parse(document.body.dataset.labels);
  const zoom = document.getElementById("zoom");
  const stage = zoom.querySelector(".stage");
  const enlarged = stage.querySelector("img");
  const title = zoom.querySelector("p");
  const fit = zoom.querySelector("[data-fit]");

  const actual = (on) => {
    stage.classList.toggle("actual", on);
    fit.textContent = on ? labels.fit : labels.actual;
  };
  const open = (source, name) => {
    enlarged.src = source;
    enlarged.alt = name;
    title.textContent = name;
    actual(false);
    zoom.showModal();
    stage.scrollTo(0, 0);
  };
  fit.addEventListener("click", () => actual(!stage.classList.contains("actual")));
  enlarged.addEventListener("click", () => actual(!stage.classList.contains("actual")));
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });

  for (const picture of document.querySelectorAll("img[data-zoom]")) {
    picture.tabIndex = 0;
    picture.setAttribute("role", "button");
    picture.addEventListener("click", () => open(picture.src, picture.alt));
    picture.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open(picture.src, picture.alt);
    });
  }
  for (const button of document.querySelectorAll("[data-zoom-src]")) {
    button.hidden = false;
    button.addEventListener("click", () => open(button.dataset.zoomSrc, button.dataset.zoomAlt));
  }

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  };

  // Two pictures, one over the other; the upper one is cut at --at. The range input is the same slider for the keyboard.
  const slider = (before, after, at) => {
    const view = element("div", "view slider");
    const pane = element("div", "pane");
    const layers = element("div", "layers");
    const lower = after.cloneNode();
    const upper = element("div", "upper");
    const copy = before.cloneNode();
    for (const picture of [lower, copy]) {
      for (const name of ["data-zoom", "tabindex", "role"]) picture.removeAttribute(name);
      picture.draggable = false;
    }
    upper.append(copy);
    const line = element("div", "line");
    line.append(element("span", "knob", "⇆"));
    layers.append(lower, upper, line);
    pane.append(layers);
    const range = element("label", "range");
    const input = element("input");
    input.type = "range";
    input.min = "0";
    input.max = "100";
    input.value = "50";
    input.setAttribute("aria-label", labels.share);
    range.append(element("span", "", labels.before.toLowerCase()), input, element("span", "", labels.after.toLowerCase()));
    view.append(pane, range);

    const set = (share) => {
      input.value = String(Math.round(share));
      layers.style.setProperty("--at", `${share}%`);
    };
    set(at);
    input.addEventListener("input", () => set(Number(input.value)));
    const follow = (event) => {
      const box = layers.getBoundingClientRect();
      set(Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)));
    };
    layers.addEventListener("pointerdown", (event) => {
      layers.setPointerCapture(event.pointerId);
      follow(event);
    });
    layers.addEventListener("pointermove", (event) => { if (layers.hasPointerCapture(event.pointerId)) follow(event); });
    return view;
  };

  for (const views of document.querySelectorAll("[data-views]")) {
    const found = new Map([...views.querySelectorAll(".view")].map((view) => [view.dataset.view, view]));
    if (found.size < 2) continue;
    const first = views.querySelector("img");
    const narrow = () => views.classList.toggle("narrow", first.naturalWidth > 0 && first.naturalWidth < 700);
    if (first.complete) narrow(); else first.addEventListener("load", narrow);
    const choices = [];
    if (found.has("before") && found.has("after")) {
      const made = slider(found.get("before").querySelector("img"), found.get("after").querySelector("img"), Number(views.dataset.focusX) * 100);
      views.append(made);
      choices.push([labels.slider, made]);
    }
    for (const [name, view] of found) choices.push([labels[name], view]);
    const tabs = element("div", "tabs");
    tabs.setAttribute("role", "group");
    tabs.setAttribute("aria-label", labels.what);
    const focus = (view) => {
      const pane = view.querySelector(".pane");
      const height = Math.max(...[...pane.querySelectorAll("img")].map((picture) => picture.offsetHeight));
      pane.scrollTop = Number(views.dataset.focusY) * height - pane.clientHeight / 3;
    };
    const show = (chosen) => {
      for (const [, view, button] of choices) {
        view.classList.toggle("current", view === chosen);
        button.setAttribute("aria-pressed", String(view === chosen));
      }
    };
    const sideBySide = element("button", "", labels.both);
    sideBySide.type = "button";
    for (const choice of choices) {
      const button = element("button", "", choice[0]);
      button.type = "button";
      button.addEventListener("click", () => {
        views.classList.add("single");
        sideBySide.setAttribute("aria-pressed", "false");
        show(choice[1]);
        focus(choice[1]);
      });
      choice.push(button);
      tabs.append(button);
    }
    sideBySide.setAttribute("aria-pressed", "false");
    sideBySide.addEventListener("click", () => {
      views.classList.remove("single");
      show(null);
      sideBySide.setAttribute("aria-pressed", "true");
    });
    tabs.append(sideBySide);
    views.before(tabs);
    views.classList.add("single");
    show(choices[0][1]);
    const pictures = [...choices[0][1].querySelectorAll("img")];
    Promise.allSettled(pictures.map((picture) => picture.decode())).then(() => focus(choices[0][1]));
  }

  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
