// Puts every request of `input.json` to the web face and prints the answers. Wrong settings and an object that was never
// injected must be told as data too.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const assert = require("node:assert");

const folder = process.argv[2];
const { Policy, checkSettings, restore } = require(join(folder, "fedcar_policy.js"));

const checked = JSON.parse(checkSettings('{"schemaVersion": 2}'));
assert.strictEqual(checked.valid, false);
assert.ok(checked.problems.length >= 2, "all problems at once");
assert.throws(() => new Policy("no settings"));
assert.strictEqual(JSON.parse(restore('{"object": {"apiVersion": "v1", "kind": "Pod"}}')).refused.code, "not-injected");

const scenes = JSON.parse(readFileSync(join(folder, "input.json"), "utf8"));
const answers = scenes.map(({ settings, payloads }) => {
  const policy = new Policy(JSON.stringify(settings));
  return payloads.map((payload) => JSON.parse(policy.admit(JSON.stringify(payload))));
});
process.stdout.write(JSON.stringify(answers));
