(() => {
  "use strict";
  const d = document;
  let opening, closing, hovered;
  const keep = () => clearTimeout(closing);
  const leave = () => { clearTimeout(opening); keep(); closing = setTimeout(() => { if (hovered) hovered.hidePopover(); hovered = null; }, 300); };
  const part = (event) => event.target.closest && event.target.closest(".cite,[popover]");
  d.addEventListener("mouseover", (event) => {
    const at = part(event);
    if (!at || !at.showPopover || !matchMedia("(hover:hover)").matches) return;
    keep(); clearTimeout(opening);
    if (at.matches("[popover]")) return;
    const source = d.getElementById(at.getAttribute("popovertarget"));
    if (source === hovered) return;
    opening = setTimeout(() => { if (!source.matches(":popover-open")) { source.showPopover({ source: at }); hovered = source; } }, 150);
  });
  d.addEventListener("mouseout", (event) => { if (part(event)) leave(); });
  // A click on a source that was opened by hovering keeps it open instead of closing it.
  d.addEventListener("click", (event) => {
    const at = part(event);
    if (at && hovered && at.getAttribute("popovertarget") === hovered.id && at.matches(".cite")) { event.preventDefault(); hovered = null; keep(); }
  });
  d.addEventListener("keydown", (event) => {
    const box = d.querySelector("[type=search]");
    if (event.key === "/" && box && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input,textarea,select")) { event.preventDefault(); box.focus(); }
    if (event.key === "Enter" && !event.shiftKey && event.target.id === "question" && !event.isComposing) {
      event.preventDefault();
      if (event.target.value.trim()) sessionStorage.typing = 1;
      event.target.form.requestSubmit();
    }
  });
  const running = d.querySelector(".busy"), turn = running && running.closest(".turn");
  if (turn) turn.setAttribute("aria-busy", "true");
  const finish = () => {
    const turns = d.querySelectorAll(".turn"), last = turns[turns.length - 1], news = d.getElementById("news");
    if (turn) {
      turn.removeAttribute("aria-busy");
      const summary = last.querySelector(".size") || last.querySelector(".lead,.claim");
      setTimeout(() => { news.textContent = summary ? summary.innerText : ""; }, 100);
    }
    // Later, because going to the turn in the address takes the focus away.
    if (last && sessionStorage.typing) setTimeout(() => { if (d.activeElement === d.body) d.getElementById("question").focus({ preventScroll: true }); }, 100);
    if (last) sessionStorage.removeItem("typing");
  };
  const offer = () => {
    const copy = d.getElementById("copy"), clipboard = navigator.clipboard;
    if (!copy || !clipboard) return;
    copy.hidden = false;
    copy.addEventListener("click", () => clipboard.writeText(location.href.split("#")[0]).then(() => { copy.textContent = "Copied"; }));
  };
  if (d.readyState === "loading") d.addEventListener("DOMContentLoaded", () => { finish(); offer(); });
  else { finish(); offer(); }
})();
