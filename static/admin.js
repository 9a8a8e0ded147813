"use strict";

// --- The lock: over the page, so that what was typed into it stays.
(() => {
  const dialog = document.getElementById("lock");
  if (!dialog) return;
  const form = dialog.querySelector("form");
  const wrong = dialog.querySelector(".wrong");
  const password = form.elements.lock_password;
  const over = dialog.querySelector(".over");
  const unreachable = dialog.querySelector(".unreachable");
  const SECOND = 1000;
  const MINUTE = 60 * SECOND;
  const IDLE = dialog.dataset.idle * SECOND;
  // When the page has to hide, as far as it knows by itself: then it does, also without a network.
  let until = Date.now() + IDLE;
  let used = false;
  let waiting = 0;
  let title = "";

  // Some networks answer nothing and say nothing of it.
  const ask = async (url, more) => {
    const patience = new AbortController();
    const end = setTimeout(() => patience.abort(), 20 * SECOND);
    try {
      const headers = { Accept: "application/json" };
      return await fetch(url, { credentials: "same-origin", redirect: "manual", headers, signal: patience.signal, ...more });
    } finally {
      clearTimeout(end);
    }
  };
  const later = (pause) => { clearTimeout(waiting); waiting = setTimeout(look, pause); };
  const look = async () => {
    // Soon, while somebody waits for the server or the server for somebody.
    let next = 5 * SECOND;
    try {
      const answer = await ask(dialog.dataset.state);
      const state = answer.status === 200 ? await answer.json() : null;
      unreachable.hidden = Boolean(state) || hasEnded(answer);
      if (state && state.locked) show();
      else if (state) {
        renew(state);
        next = Math.min(Math.max(state.seconds, 1) * SECOND + 500, MINUTE);
      } else if (hasEnded(answer)) {
        show();
        over.hidden = false;
      }
    } catch { unreachable.hidden = false; }
    later(next);
  };
  const hasEnded = (answer) => answer.type === "opaqueredirect";
  // Whoever logged in again in another tab goes on here, with forms that are theirs again.
  const renew = (state) => {
    if (String(state.user) !== dialog.dataset.user) return;
    until = Math.max(until, Date.now() + state.seconds * SECOND);
    for (const input of document.querySelectorAll("input[name=csrf_token]")) input.value = state.csrf_token;
    if (dialog.open) hide();
  };
  const hideWhenDue = () => { if (Date.now() >= until) show(); };
  const show = () => {
    if (dialog.open) return;
    dialog.showModal();
    document.documentElement.classList.add("is-locked");
    title = document.title;
    document.title = dialog.querySelector("h2").textContent;
    password.focus();
    later(0);
  };
  const hide = () => {
    dialog.close();
    document.documentElement.classList.remove("is-locked");
    document.title = title;
    password.value = wrong.textContent = "";
    over.hidden = unreachable.hidden = true;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      unreachable.hidden = true;
      if (answer.status === 204) {
        until = Date.now() + IDLE;
        return hide();
      }
      if (hasEnded(answer)) over.hidden = false;
      else wrong.textContent = (await answer.json()).problem;
    } catch { unreachable.hidden = false; }
    password.select();
  });
  // Escape must not put it away.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("keydown", (event) => { if (event.key === "Escape") event.preventDefault(); });

  // Typing and reading keep it open, though they ask for no page.
  const use = () => {
    hideWhenDue();
    if (dialog.open) return;
    used = true;
    until = Math.max(until, Date.now() + IDLE);
  };
  for (const kind of ["keydown", "pointerdown", "wheel", "touchmove"])
    document.addEventListener(kind, use, { passive: true });
  setInterval(() => {
    if (!used || dialog.open) return;
    used = false;
    ask(dialog.dataset.awake, { method: "POST", headers: { "X-CSRFToken": form.elements.csrf_token.value } })
      .catch(() => {});
  }, MINUTE);
  // A machine that has slept, or a browser's way back, shows nothing first.
  setInterval(hideWhenDue, SECOND);
  for (const kind of ["pageshow", "focus"]) window.addEventListener(kind, hideWhenDue);
  document.addEventListener("visibilitychange", hideWhenDue);
  window.addEventListener("online", () => later(0));
  look();
})();

// --- What is shown once: copied or printed by a button.
(() => {
  for (const part of document.querySelectorAll("[data-with-script]")) part.hidden = false;
  for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText([...source.children].map((one) => one.textContent.trim()).join("\n"));
        button.textContent = button.dataset.done;
      } catch {
        // Without HTTPS there is no clipboard: then it stands selected, to be copied by hand.
        window.getSelection().selectAllChildren(source);
      }
    });
  }
})();

// --- Steps 1 and 2: a short name is suggested, a file can be dropped, waiting is told.
(() => {
  for (const field of document.querySelectorAll("[data-made-from]")) {
    const source = document.getElementById(field.dataset.madeFrom);
    let own = field.value !== "";
    field.addEventListener("input", () => { own = field.value !== ""; });
    source.addEventListener("input", () => {
      if (own) return;
      const plain = source.value.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
      // Letters of another script the server writes in Latin ones.
      if (/[^\x00-\x7f]/.test(plain.replace(/\P{L}/gu, ""))) field.value = "";
      else field.value = (plain.match(/[a-z0-9]+/g) || []).join("-").slice(0, 63).replace(/-+$/, "");
    });
  }

  for (const place of document.querySelectorAll("[data-drop]")) {
    const input = place.querySelector("input[type=file]");
    const over = (event, isOver) => { event.preventDefault(); place.classList.toggle("is-over", isOver); };
    place.addEventListener("dragover", (event) => over(event, true));
    place.addEventListener("dragleave", (event) => over(event, false));
    place.addEventListener("drop", (event) => {
      over(event, false);
      if (!event.dataTransfer.files.length) return;
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change"));
    });
  }

  // A file that the page would not take is told of before it is sent: the server hangs up in the middle.
  for (const input of document.querySelectorAll("input[data-largest]")) {
    input.addEventListener("change", () => {
      const isTooLarge = [...input.files].some((file) => file.size > Number(input.dataset.largest));
      input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
      if (isTooLarge) input.reportValidity();
    });
  }

  for (const form of document.querySelectorAll("form[data-busy]")) {
    const told = document.createElement("p");
    told.setAttribute("role", "status");
    form.append(told);
    form.addEventListener("submit", () => { told.className = "note"; told.textContent = form.dataset.busy; });
  }

})();

// --- Ticks on the rows of a file are kept before other rows are shown.
(() => {
  const form = document.querySelector("form[data-keep-at]");
  const rows = document.querySelector("[data-keeps-ticks]");
  if (!form || !rows) return;
  // What cannot be kept, without a network or a session, the next page says by itself.
  const keep = async (go) => {
    try { await fetch(form.dataset.keepAt, { method: "POST", body: new FormData(form) }); } finally { go(); }
  };
  rows.addEventListener("click", (event) => {
    const link = event.target.closest("nav a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    keep(() => { location.href = link.href; }).catch(() => {});
  });
  rows.querySelector("form[role=search]").addEventListener("submit", (event) => {
    event.preventDefault();
    keep(() => event.target.submit()).catch(() => {});
  });
})();

// --- A page that waits for the server's work. Asking keeps no screen from locking; a reload would.
(() => {
  const part = document.querySelector("[data-again]");
  if (!part) return;
  const EVERY = 3 * 1000;
  const look = async () => {
    try {
      const answer = await fetch(part.dataset.again, { credentials: "same-origin", redirect: "manual" });
      if (answer.status === 200 && !(await answer.json()).is_busy) {
        // Not a reload: the page of a form would be sent again.
        location.replace(location.pathname + location.search);
        return;
      }
    } catch { /* Asked again when there is a network. */ }
    setTimeout(look, EVERY);
  };
  setTimeout(look, EVERY);
})();

// --- What changes by itself, while somebody looks: each part of the page that is another now.
(() => {
  const page = document.querySelector("[data-refresh]");
  if (!page) return;
  const EVERY = 5 * 1000;
  const look = async () => {
    if (document.visibilityState === "visible" && !document.querySelector("dialog[open]")) {
      try {
        const answer = await fetch(page.dataset.refresh, { credentials: "same-origin", redirect: "manual" });
        if (answer.status === 200) renew(await answer.text());
      } catch { /* The page stays as it is until there is a network again. */ }
    }
    setTimeout(look, EVERY);
  };
  const renew = (html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    for (const part of fresh.content.children) {
      const old = document.getElementById(part.id);
      if (!isBusy(old) && shown(old) !== shown(part)) replace(old, part);
    }
  };
  // No button changes under a pointer, nothing takes the focus away, and what is typed stays.
  const isBusy = (part) =>
    part.contains(document.activeElement) ||
    (part.querySelector("form") && part.matches(":hover")) ||
    [...part.querySelectorAll("details[open]")].some((one) => one.querySelector("form"));
  // Each page has a token of its own, and what was opened does not make a part another one.
  const shown = (part) => {
    const copy = part.cloneNode(true);
    for (const one of copy.querySelectorAll("input[name=csrf_token]")) one.remove();
    for (const one of copy.querySelectorAll("details")) one.removeAttribute("open");
    return copy.innerHTML;
  };
  const replace = (old, part) => {
    const open = [...old.querySelectorAll("details[open]")].map((one) => one.id);
    old.replaceChildren(...part.childNodes);
    for (const id of open) document.getElementById(id).open = true;
  };
  setTimeout(look, EVERY);
})();

// --- A form keeps what was typed while somebody looks at another page, until it is sent.
(() => {
  document.querySelector("form.leave")?.addEventListener("submit", () => sessionStorage.clear());
  const form = document.querySelector("form[data-keep]");
  if (!form) return;
  const key = `kept ${form.getAttribute("action")} ${form.dataset.part || ""}`;
  // The fields of one name are one choice, but each checkbox is one by itself.
  const groups = new Map();
  for (const one of form.elements) {
    if (!one.name || one.name === "csrf_token" || ["password", "file", "submit"].includes(one.type)) continue;
    const name = one.type === "checkbox" ? `${one.name} ${one.value}` : one.name;
    groups.set(name, [...(groups.get(name) || []), one]);
  }
  const state = (one) => [one.name, one.value, one.checked || !["radio", "checkbox"].includes(one.type)];
  const read = () => Object.fromEntries([...groups].map(([name, group]) => [name, group.map(state)]));
  const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  const served = read();
  const isSaved = form.dataset.keep !== "typed";
  // The way back to the answer to a form leads to its page, and asks nobody to send the form again.
  if (!isSaved) history.replaceState(null, "", form.dataset.page || form.getAttribute("action"));
  const kept = isSaved && JSON.parse(sessionStorage.getItem(key) || "null");
  sessionStorage.removeItem(key);
  // A form of other fields, as those of the mail in blocks: its page is asked for with what was typed.
  if (kept && form.dataset.retype && !isSame(Object.keys(served), Object.keys(kept.typed))) {
    if (kept.version === form.dataset.version) {
      const again = document.createElement("form");
      Object.assign(again, { method: "post", action: form.dataset.retype, hidden: true });
      const token = ["csrf_token", form.elements.csrf_token.value, true];
      for (const [name, value, checked] of [...Object.values(kept.typed).flat(), token, ["kept", "yes", true]]) {
        if (!checked) continue;
        const field = document.createElement("textarea");
        Object.assign(field, { name, value });
        again.append(field);
      }
      document.body.append(again);
      again.submit();
    }
  } else if (kept) {
    for (const [name, group] of groups) {
      const typed = kept.typed[name];
      if (typed?.length !== group.length) continue;
      // What was changed elsewhere meanwhile comes first, and so does what is served to be mended.
      // What was only suggested comes after what was typed over it.
      const isChanged = kept.over && !isSame(kept.over[name], served[name]);
      if (isChanged && (form.dataset.keep === "saved" || isSame(kept.over[name], typed))) continue;
      group.forEach((one, place) => {
        if (one.type === "hidden" || isSame(state(one), typed[place])) return;
        [, one.value, one.checked] = typed[place];
        one.closest("details")?.setAttribute("open", "");
        document.getElementById("kept").hidden = false;
      });
    }
  }
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (!event.submitter?.hasAttribute("formtarget")) isSent = true;
  });
  addEventListener("pagehide", () => {
    sessionStorage.removeItem(key);
    if (isSent || (isSaved && isSame(read(), served))) return;
    sessionStorage.setItem(key, JSON.stringify({ over: isSaved ? served : null, version: form.dataset.version, typed: read() }));
  });
})();

// --- Handing over: a step is ticked where one reads, without a fresh page.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const step = form.closest(".ticks > li");
  if (!step || event.defaultPrevented) return;
  event.preventDefault();
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    step.replaceWith(document.adoptNode(page.getElementById(step.id)));
    document.getElementById(step.id).querySelector("button").focus();
  } catch {
    // Logged out, locked or without a network: the page itself says so.
    form.submit();
  }
});

// --- Step 3: the mail is seen while it is written.
(() => {
  const form = document.querySelector("form[data-live]");
  if (!form) return;
  const button = form.querySelector("[formtarget]");
  const PAUSE = 700;
  let waiting = 0;
  const look = () => {
    if (document.documentElement.classList.contains("is-locked")) return;
    // A fresh frame leaves nothing behind for the browser's way back.
    const frame = form.querySelector("iframe");
    const fresh = frame.cloneNode();
    fresh.removeAttribute("src");
    frame.replaceWith(fresh);
    form.requestSubmit(button);
  };
  for (const kind of ["input", "change"])
    form.addEventListener(kind, (event) => {
      if (event.target.name === "width") return;
      clearTimeout(waiting);
      waiting = setTimeout(look, event.target.tagName === "SELECT" ? 0 : PAUSE);
    });
  form.addEventListener("submit", () => clearTimeout(waiting));
  // What is served to be mended or begun with is not what is saved.
  if (form.dataset.keep === "typed") look();
})();
