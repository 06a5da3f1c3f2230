// Who answers: this browser itself, by a worker that holds the model. Nothing leaves it.

const model = new Worker("static/worker.js", { type: "module" });
const waiting = new Map();
let turns = 0;
const KEEP_AFTER_MS = 3000;
let firstAnswer;
const answered = new Promise((resolve) => (firstAnswer = resolve));

const modelReady = new Promise((resolve, reject) => {
  model.addEventListener("message", ({ data: said }) => {
    if (said.ready === true) resolve();
    else if (said.ready === false) reject(new Error(`${said.error} Load the page again; a phone may lack the memory.`));
    else {
      const { resolve: answer, reject: fail } = waiting.get(said.turn);
      waiting.delete(said.turn);
      if (said.rows) answer(said.rows);
      else fail(new Error(said.error));
    }
  });
  model.addEventListener("error", () => reject(new Error("This browser cannot run the model: it may be too old.")));
});

/** Return the rows for files. Throws an Error whose message is a sentence to show. */
async function locatePhotos(files) {
  await modelReady;
  const turn = ++turns;
  const rows = await new Promise((resolve, reject) => {
    waiting.set(turn, { resolve, reject });
    model.postMessage({ turn, files });
  }).finally(firstAnswer);
  for (const row of rows) {
    row.verdict = verdictOf(row);
    for (const one of row.alike) if (data.thumbnails.includes(one.photo)) one.url = `thumbnails/${String(one.photo).padStart(5, "0")}.jpg`;
  }
  return rows;
}

function verdictOf(row) {
  if (row.familiarity !== null && row.familiarity < data.unfamiliarBelow) return "elsewhere";
  const isUnsure = row.radius_90_m !== null && data.unsureBeyond !== null && row.radius_90_m > data.unsureBeyond;
  return isUnsure ? "unsure" : "here";
}

/** The model is ready once it has been loaded, from the network the first time. */
async function engineReady() {
  await modelReady;
  keepFiles();
}

/** Keep all files for the next time, which would compete with loading them and with a first photo. */
async function keepFiles() {
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, KEEP_AFTER_MS))]);
  if ("serviceWorker" in navigator && isSecureContext) navigator.serviceWorker.register("sw.js").catch(() => {});
}
