// Who answers: the service that this page came from.

/** Return the rows of the service for files. Throws an Error whose message is a sentence to show. */
async function locatePhotos(files, { walk }) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (files.length > data.mostPhotos) throw new Error(`At most ${data.mostPhotos} photos at once: choose fewer.`);
  if (bytes > data.mostBytes) throw new Error(`At most ${data.mostBytes >> 20} MiB at once: choose fewer or smaller photos.`);
  const form = new FormData();
  for (const file of files) form.append("photo", file, file.name);
  let response;
  try {
    response = await fetch(`v1/locate?details=true${walk ? "&walk=true" : ""}`, { method: "POST", body: form });
  } catch {
    throw new Error("The server does not answer. Is it still running, and are you online?");
  }
  const found = await response.json().catch(() => null);
  if (Array.isArray(found)) return found;
  throw new Error(found?.error ?? `The server answered with status ${response.status}.`);
}

/** The service is ready as soon as the page is. */
async function engineReady() {}
