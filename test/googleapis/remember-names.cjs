// protoplugin works out all names of a file for each name it is asked for, which makes protoc-gen-es need minutes for
// one file of Google's. This has it remember them: the same code, run once a file.
const { readFileSync } = require("node:fs");
const Module = require("node:module");

const load = Module._extensions[".js"];
Module._extensions[".js"] = (module, filename) => {
  if (!filename.endsWith("protoplugin/dist/cjs/names.js")) return load(module, filename);
  const source = readFileSync(filename, "utf8");
  const head = "function allNames(file) {";
  if (!source.includes(head)) throw new Error(`there is no ${head} in ${filename}`);
  const remembering = `const remembered = new WeakMap();
function allNames(file) {
  if (!remembered.has(file)) remembered.set(file, allNamesOf(file));
  return remembered.get(file);
}
function allNamesOf(file) {`;
  module._compile(source.replace(head, remembering), filename);
};
