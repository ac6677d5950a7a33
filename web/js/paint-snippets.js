/** What the page does, as curl, Python and JavaScript. Texts only. */

/**
 * @typedef {import("./snippets.js").Language} Language
 * @typedef {{origin: string, secured: boolean, video: boolean, file: string, style: string, by: string,
 *   strength: number}} Wish `style` is empty where another picture gives it, `by` which way
 */

/** @param {Language} language @param {Wish} wish */
export function paintSnippet(language, wish) {
  switch (language) {
    case "curl": return curl(wish);
    case "python": return python(wish);
    default: return javascript(wish);
  }
}

/** @param {Wish} wish */
const url = (wish) => `${wish.origin}/v1/${wish.video ? "videos" : "images"}/style`;

/** @param {string} text for a shell */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** @param {Wish} wish */
function curl(wish) {
  const key = wish.secured ? [`  -H "Authorization: Bearer $AIMASS_API_KEY"`] : [];
  const lines = [`curl ${url(wish)}`, ...key, `  -F ${quoted(`${wish.video ? "video" : "image"}=@${wish.file}`)}`,
    wish.style ? `  -F style=${wish.style}` : `  -F style_image=@like.jpg -F by=${wish.by}`, `  -F strength=${wish.strength}`];
  if (!wish.video) return [...lines, "  -o painted.png"].join(" \\\n");
  const auth = key.length ? ` ${key[0]?.trim()}` : "";
  return [lines.join(" \\\n"), "", "# the answer names the job: follow it, then fetch what came of it",
    `curl -N${auth} ${wish.origin}/v1/jobs/JOB_ID/events`,
    `curl${auth} ${wish.origin}/v1/jobs/JOB_ID/result -o painted.mp4`].join("\n");
}

/** @param {Wish} wish */
function python(wish) {
  const files = [`"${wish.video ? "video" : "image"}": open(${JSON.stringify(wish.file)}, "rb")`,
    ...(wish.style ? [] : [`"style_image": open("like.jpg", "rb")`])];
  const data = [wish.style ? `"style": "${wish.style}"` : `"by": "${wish.by}"`, `"strength": ${wish.strength}`];
  const lines = ["import httpx", ...(wish.secured ? ["import os"] : []), "",
    ...(wish.secured ? [`headers = {"Authorization": f"Bearer {os.environ['AIMASS_API_KEY']}"}`] : []),
    `with httpx.Client(base_url="${wish.origin}", timeout=120${wish.secured ? ", headers=headers" : ""}) as http:`,
    `    answer = http.post("${new URL(url(wish)).pathname}", files={${files.join(", ")}},`,
    `                       data={${data.join(", ")}}).raise_for_status()`];
  if (!wish.video) return [...lines, `    open("painted.png", "wb").write(answer.content)`].join("\n");
  return [...lines, `    job = f"/v1/jobs/{answer.json()['id']}"`,
    `    with http.stream("GET", f"{job}/events") as events:  # until it has ended`,
    "        for line in events.iter_lines():", "            print(line)",
    `    open("painted.mp4", "wb").write(http.get(f"{job}/result").raise_for_status().content)`].join("\n");
}

/** @param {Wish} wish */
function javascript(wish) {
  const headers = wish.secured ? ", headers: { Authorization: `Bearer ${key}` }" : "";
  const lines = ["const form = new FormData();", `form.append("${wish.video ? "video" : "image"}", file);`,
    wish.style ? `form.append("style", "${wish.style}");` : `form.append("style_image", like);\nform.append("by", "${wish.by}");`,
    `form.append("strength", "${wish.strength}");`,
    `const answer = await fetch("${url(wish)}", { method: "POST", body: form${headers} });`,
    "if (!answer.ok) throw new Error((await answer.json()).detail);"];
  return [...lines, ...(wish.video
    ? ["const { id } = await answer.json(); // GET /v1/jobs/{id}/events follows it, .../result has the video"]
    : ["const painted = await answer.blob();"])].join("\n");
}
