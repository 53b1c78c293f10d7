/** What all parts of the page do alike: find its elements, say what happened, run what a person asked for. */
export const $ = (id) => document.getElementById(id);

/** Says something in the element of this id. */
export const sayIn = (id) => (text, bad = false) => {
  $(id).textContent = text;
  $(id).classList.toggle("bad", bad);
};

export const say = sayIn("notice");

let endSession;

/** What to do when an answer tells that the session is over. */
export function whenSessionEnds(work) {
  endSession = work;
}

/** Runs what a person asked for; whatever goes wrong is said where they look. */
export async function attempt(work, control, tell = say) {
  if (control) control.disabled = true;
  try {
    tell("");
    await work();
  } catch (problem) {
    const over = problem.status === 401;
    if (over) endSession();
    (over ? say : tell)(problem.message, true);
  } finally {
    if (control) control.disabled = false;
  }
}

export function onSubmit(id, work, tell = say) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    void attempt(() => work(Object.fromEntries(new FormData(form)), form), form.querySelector("button"), tell);
  });
}
