// Drawings on standard input, as JSON {name: text} -> what Mermaid's own parser says against each, as JSON {name: problem}.
// The folder that has mermaid and jsdom installed is the one argument.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const { JSDOM } = createRequire(join(folder, "index.js"))("jsdom");
// Mermaid cleans labels with the DOM of a browser.
globalThis.window = new JSDOM("").window;
globalThis.document = window.document;
const { default: mermaid } = await import(pathToFileURL(join(folder, "node_modules/mermaid/dist/mermaid.core.mjs")));

const problems = {};
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  try {
    await mermaid.parse(text);
  } catch (error) {
    problems[name] = String(error.message ?? error);
  }
}
process.stdout.write(JSON.stringify(problems));
