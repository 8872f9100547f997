// Compares two contracts: node breaking.js RELEASED PRESENT APPROVED
//
// Each change that would break a client has to be a line of APPROVED, and each line of
// APPROVED such a change.
"use strict";

const { readFileSync } = require("node:fs");
const { buildSchema, findBreakingChanges, findDangerousChanges } = require("graphql");

const [released, present, approved] = process.argv.slice(2).map((path) => readFileSync(path, "utf8"));
const [before, after] = [released, present].map((sdl) => buildSchema(sdl));
const told = (changes) => changes.map((change) => `${change.type}: ${change.description}`);
const breaking = new Set(told(findBreakingChanges(before, after)));
const lines = new Set(approved.split("\n").map((line) => line.trim()).filter(Boolean));

for (const change of told(findDangerousChanges(before, after))) {
  console.log(`mind: ${change}`);
}
const unapproved = [...breaking].filter((change) => !lines.has(change));
const stale = [...lines].filter((line) => !breaking.has(line));
for (const change of unapproved) {
  console.error(`breaks clients: ${change}`);
}
for (const line of stale) {
  console.error(`is approved, and is no change: ${line}`);
}
console.log(`${breaking.size} breaking changes since the last release, ${lines.size} approved`);
process.exit(unapproved.length + stale.length > 0 ? 1 : 0);
